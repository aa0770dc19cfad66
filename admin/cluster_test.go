package admin

import (
	"strings"
	"testing"
	"time"

	"picket/cause"
	"picket/cluster"
)

// clusterState has a node that is linked, one without a link and one that is dead.
func clusterState(at time.Time) *cluster.State {
	return &cluster.State{
		Name: "10.0.0.11:7883", Address: "10.0.0.11:7883", Incarnation: 4, Serving: true, Leased: true, Routes: 6,
		Redis: cluster.RedisState{Address: "10.0.0.21:6379/mymaster", Answers: true, Since: at.Add(-time.Hour), Servers: 2},
		Nodes: []cluster.NodeState{
			{Incarnation: 2, Name: "b", Address: "10.0.0.12:7883", Linked: true, Since: at.Add(-time.Minute), Routes: 8, Out: 7, In: 5},
			{Incarnation: 3, Name: "c", Address: "c", Since: at.Add(-4 * time.Second), Cause: cause.ClusterLinkDown, Text: "connection refused", Waiting: 118, Unsettled: 3, Unseen: 2, Dropped: 9},
			{Incarnation: 1, Name: "d\x1b[2J", Address: "d\x1b[2J", Dead: true},
		},
	}
}

func TestClusterIsTold(t *testing.T) {
	at := time.Unix(1800000000, 0)
	whole, troubled, joining, alone := clusterState(at), clusterState(at), clusterState(at), clusterState(at)
	troubled.Leased, troubled.Fenced, troubled.Unsettled, troubled.UnsettledBytes, troubled.HeldBack, troubled.Dropped = false, at, 12, 3456, true, 78
	troubled.Redis = cluster.RedisState{Address: "r:6379", Since: at.Add(-9 * time.Second), Cause: cause.ClusterUnreachable, Text: "i/o timeout"}
	joining.Serving = false
	alone.Incarnation, alone.Nodes, alone.Redis.Servers = 0, nil, 1
	for _, c := range []struct {
		state            *cluster.State
		english, chinese []string
	}{
		{whole, []string{
			"node 10.0.0.11:7883, number 4: serves clients\n  Redis 10.0.0.21:6379/mymaster answers, for 1h0m0s; what is acknowledged is on 2 servers\n  its clients want 6 topic filters\n",
			"b (10.0.0.12:7883), number 2  linked for 1m0s\n  its clients want 8 topic filters\n  messages: 7 out, 5 in, 0 dropped at QoS 0\nc, number 3  NO LINK for 4s\n  connection refused  [cluster-link-down]\n", "cluster_address",
			"0 out, 0 in, 9 dropped at QoS 0\n  by its mailbox in Redis: 118 frames waiting, 3 runs not settled\n  has not seen the last 2 changes", ", number 1  DEAD",
		}, []string{"节点 10.0.0.11:7883，编号 4：接受客户端", "2 台服务器", "b (10.0.0.12:7883)，编号 2  已连接，持续 1m0s", "c，编号 3  没有连接，持续 4s\n  connection refused  [cluster-link-down]\n  在本机上", "118 个帧等待，3 批", "，编号 1  已死"}},
		{troubled, []string{"acknowledges nothing of QoS 1 and 2", "took it for dead at ", "Redis r:6379 does not answer, for 9s\n  i/o timeout  [cluster-unreachable]\n", "not settled: 12 runs of QoS 1 and 2, 3456 bytes", "held back", "dropped at QoS 0: 78 messages"},
			[]string{"不确认任何 QoS 1 和 2", "认定它已死", "没有应答，持续 9s", "12 批消息，3456 字节", "暂停读取发布者", "丢弃：78 条"}},
		{joining, []string{"number 4: lets no clients in"}, []string{"编号 4：在得知"}},
		{alone, []string{"node 10.0.0.11:7883: has not joined", "is on the master alone", "no other nodes"}, []string{"节点 10.0.0.11:7883：尚未加入集群", "只在主节点上", "没有其他节点"}},
		{nil, []string{"This broker is no node of several: its configuration has no cluster_address.\n"}, []string{"不是集群节点"}},
	} {
		for lang, want := range map[cause.Lang][]string{cause.English: c.english, cause.Chinese: c.chinese} {
			text := (&Status{Cluster: c.state}).ClusterText(lang, at)
			for _, part := range want {
				if !strings.Contains(text, part) {
					t.Errorf("%q is not in:\n%s", part, text)
				}
			}
			if strings.ContainsAny(text, "\x1b") || strings.Contains(text, "%!") {
				t.Errorf("%s", text)
			}
		}
	}
}
