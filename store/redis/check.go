package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"picket/cause"
)

// Missing is something that the store needs and Redis does not have.
type Missing struct {
	Cause cause.ID
	Text  string
	Fatal bool // without it the store is not opened
}

// facts are what INFO says.
type facts map[string]string

func parseInfo(text string) facts {
	f := make(facts)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f[name] = value
		}
	}
	return f
}

// replicas is how many replicas are connected to a master and in step with it.
func (f facts) replicas() (n int) {
	for i := 0; ; i++ {
		line, ok := f["slave"+strconv.Itoa(i)]
		if !ok {
			return n
		}
		if strings.Contains(line, "state=online") {
			n++
		}
	}
}

// Versions that are needed: functions came with Redis 7.0; Valkey began at 7.2 with them.
const leastMajor = 7

// check looks at everything that the store needs, and lists what is missing, all at once.
func (s *Store) check(ctx context.Context, l *link, f facts) (all []Missing) {
	add := func(fatal bool, id cause.ID, format string, args ...any) {
		all = append(all, Missing{id, fmt.Sprintf(format, args...), fatal})
	}
	if version := f["redis_version"]; version != "" {
		if major, _, _ := strings.Cut(version, "."); major != "" {
			if n, err := strconv.Atoi(major); err == nil && n < leastMajor {
				add(true, cause.ClusterUnfit, "it is version %s, and functions came with 7.0", version)
				return all // the rest would only repeat it
			}
		}
	}
	if f["role"] != "master" {
		add(true, cause.ClusterReplica, "it is a replica of %s:%s", f["master_host"], f["master_port"])
		return all
	}
	if f["master_replid"] == "" {
		add(true, cause.ClusterUnfit, "INFO does not tell master_replid, the replication id")
	}
	if policy := f["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		add(true, cause.ClusterEviction, "maxmemory-policy is %s: when its memory is full, Redis would throw away sessions and messages", policy)
	}
	for _, text := range s.rights(ctx, l) {
		add(true, cause.ClusterRights, "%s", text)
	}
	if f["aof_enabled"] == "0" {
		add(false, cause.ClusterVolatile, "appendonly is no: when Redis ends, what has been acknowledged since its last snapshot is lost")
	}
	if want := s.options.Acknowledge.Replicas; f.replicas() < want {
		add(false, cause.ClusterNoReplica, "cluster_acknowledge asks for %d replicas, and %d are in step: nothing that has to be kept is acknowledged until there are", want, f.replicas())
	} else if s.options.Acknowledge.Auto && f.replicas() == 0 {
		add(false, cause.ClusterNoReplica, "no replica: what is acknowledged is on this one server")
	}
	return all
}

// rights tries every command that the store and its functions use, on a key of its own, and says which are refused.
func (s *Store) rights(ctx context.Context, l *link) (all []string) {
	k, other := s.key("probe"), s.key("probe2")
	var denied []string
	tried := [][]string{{"HSET", k, "a", "1"}, {"HGET", k, "a"}, {"HMGET", k, "a"}, {"HGETALL", k}, {"HLEN", k}, {"HKEYS", k}, {"HEXISTS", k, "a"}, {"HINCRBY", k, "a", "1"},
		{"HRANDFIELD", k, "1", "WITHVALUES"}, {"HSCAN", k, "0"}, {"HDEL", k, "b"}, {"RENAME", k, other}, {"DEL", other}, {"SADD", k, "a"}, {"SREM", k, "b"},
		{"SCARD", k}, {"SUNIONSTORE", k, k}, {"SSCAN", k, "0"}, {"SRANDMEMBER", k, "1"}, {"EXISTS", k}, {"DEL", k}, {"WAIT", "0", "1"}, {"FUNCTION", "LOAD", "REPLACE", library}, {"FCALL", "picket1_mark", "1", k, "0", "0", "0"}}
	if s.options.Shared {
		tried = append(tried, []string{"XADD", k, "*", "a", "1"}, []string{"XRANGE", k, "-", "+"}, []string{"XREVRANGE", k, "+", "-"}, []string{"XTRIM", k, "MAXLEN", "0"}, []string{"DEL", k})
	}
	for _, args := range tried {
		err := l.Do(ctx, l.B().Arbitrary(args...).Build()).Error()
		refused, ok := rueidis.IsRedisErr(err)
		switch {
		case !ok:
		case strings.HasPrefix(refused.Error(), "NOPERM") && strings.Contains(refused.Error(), "key"):
			all = append(all, fmt.Sprintf("the user may not use keys that begin with %s (ACL SETUSER … ~%s*)", s.prefix, s.prefix))
			return all
		case strings.HasPrefix(refused.Error(), "NOPERM"), strings.HasPrefix(refused.Error(), "ERR unknown command"):
			name := strings.ToLower(args[0])
			if args[0] == "FUNCTION" {
				name = "function|load"
			}
			denied = append(denied, "+"+name)
		}
	}
	if len(denied) > 0 {
		all = append(all, "the user may not call "+strings.Join(denied, " "))
	}
	return all
}

// Errors of the functions.
const (
	wordEmpty  = "PICKETEMPTY"
	wordFenced = "PICKETFENCED"
	wordOlder  = "PICKETOLDER"
	wordGap    = "PICKETGAP"
	wordNewer  = "PICKETNEWER"
)

// says tells whether an error is an answer of Redis that begins with a word.
func says(err error, word string) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(answer.Error(), word)
}

// isFull tells whether Redis refuses what adds something because its memory is full.
func isFull(err error) bool { return says(err, "OOM") || says(err, "ERR OOM") }

var errReplica = errors.New("it is a replica")
