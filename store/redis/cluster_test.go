package redis

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// newCluster starts a Redis Cluster of three masters, each with a replica.
func newCluster(t *testing.T) (nodes []*server) {
	t.Helper()
	create := []string{"--cluster-yes", "--cluster", "create", "--cluster-replicas", "1"}
	for range 6 {
		// A node that the machine stops for some seconds is replaced, and what the test asks for holds all the same.
		n := newServer(t, "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(testbed.Port(t)), "--cluster-node-timeout", "2000")
		nodes = append(nodes, n)
		create = append(create, n.address())
	}
	if out, err := exec.Command("redis-cli", create...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	inStep(t, nodes)
	return nodes
}

// inStep waits until every node takes the cluster for whole, and there are three replicas with all that their masters have.
func inStep(t *testing.T, nodes []*server) {
	t.Helper()
	until(t, "all nodes are up, and three of them are replicas in step", func() bool {
		replicas := 0
		for _, n := range nodes {
			if state := n.text("CLUSTER", "INFO"); !strings.Contains(state, "cluster_state:ok") || !strings.Contains(state, "cluster_known_nodes:6") {
				return false
			}
			if n.info("master_link_status") == "up" {
				replicas++
			}
		}
		return replicas == 3
	})
}

// owner waits for a node that has the store's keys, and gives it: the others send whoever asks for them there.
func owner(t *testing.T, nodes []*server) (o *server) {
	t.Helper()
	until(t, "a node has what is stored", func() bool {
		i := slices.IndexFunc(nodes, func(n *server) bool {
			return n.cmd != nil && n.info("role") == "master" && n.try("HGET", "{picket}m", "f") == nil
		})
		if i >= 0 {
			o = nodes[i]
		}
		return i >= 0
	})
	return o
}

// TestRedisClusterFailsOver keeps everything in a Redis Cluster of six nodes, and kills the one that has it: its replica takes over, the store finds that, and
// nothing is refused or lost.
func TestRedisClusterFailsOver(t *testing.T) {
	nodes := newCluster(t)
	address := nodes[0].address() + "," + nodes[4].address() + "?cluster"
	l := newLife(t, address, Options{Hold: time.Hour, Acknowledge: Acknowledge{Auto: true}})
	l.steps(150)
	l.flush()
	inStep(t, nodes)
	master := owner(t, nodes)
	l.steps(50)
	master.kill()
	l.steps(50)
	owner(t, nodes)
	l.steps(50)
	l.flush()
	master.start()
	inStep(t, nodes)
	l.steps(50)
	l.whole(address)
	if errs := l.r.Refusals(); len(errs) > 0 {
		t.Error(errs[0])
	}
}
