//go:build unix

package dashboard

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"picket/cause"
	"picket/cluster"
)

// The page of a cluster shows each state that a node can be in, with why and what to do about it; names are what others have chosen. There is no cluster here: the page is told of one by
// what the API would say.
func TestCluster(t *testing.T) {
	t.Parallel()
	ago := time.Now().Add(-time.Hour)
	states := []struct {
		name string
		cluster.State
		says []string
	}{
		{"well", cluster.State{Name: "a", Address: "10.0.0.1:1885", Incarnation: 3, Serving: true, Leased: true, Redis: cluster.RedisState{Address: "redis:6379", Answers: true, Since: ago, Servers: 2}, Nodes: []cluster.NodeState{
			{Incarnation: 4, Name: "b", Address: "10.0.0.2:1885", Linked: true, Since: ago, Routes: 12, Out: 1000, In: 2000},
		}}, []string{"接受客户端", "正常应答", "已连接"}},
		{"ill", cluster.State{Name: html, Address: long, Incarnation: 5, Serving: true, Fenced: ago, HeldBack: true, Unsettled: 1000, UnsettledBytes: 5e6, Dropped: 7,
			Redis: cluster.RedisState{Address: "redis:6379", Since: ago, Cause: cause.ClusterLinkDown, Text: "dial tcp: connection refused"}, Nodes: []cluster.NodeState{
				{Incarnation: 6, Name: long, Address: html, Since: ago, Cause: cause.ClusterLinkDown, Text: html, Waiting: 9, Unsettled: 8, Unseen: 7, Dropped: 6}, {Incarnation: 7, Name: arabic, Address: arabic, Dead: true},
			}}, []string{"不确认任何", "没有应答", "没有连接", "已死", "暂停读取发布者", "处理方法"}},
		{"new", cluster.State{Name: "a", Address: "a", Redis: cluster.RedisState{Address: "redis:6379", Answers: true, Since: ago, Servers: 1}}, []string{"尚未加入集群", "没有其他节点", "仅主节点"}},
		{"learning", cluster.State{Name: "a", Address: "a", Incarnation: 1, Leased: true, Redis: cluster.RedisState{Address: "redis:6379"}}, []string{"在得知所有其他节点"}},
	}
	w := newWorld(t)
	for _, l := range looks {
		tb := w.login(t, "viewer", l.Screen)
		tb.visit("cluster")
		tb.judge(l.name + " none")
		tb.Evaluate(`window.asks = window.fetch; window.fetch = async (url, options) => {
			const answer = await window.asks(url, options);
			if (!url.endsWith('/status') || !window.cluster) return answer;
			return new Response(JSON.stringify({...await answer.json(), cluster: window.cluster}), {status: 200});
		}`, nil)
		for _, s := range states {
			data, err := json.Marshal(s.State)
			if err != nil {
				t.Fatal(err)
			}
			tb.Evaluate(fmt.Sprintf("window.cluster = %s", data), nil)
			tb.visit("overview")
			tb.visit("cluster")
			for _, text := range s.says {
				if l.lang == cause.Chinese {
					tb.Wait("main", text)
				}
			}
			tb.judge(l.name + " " + s.name)
		}
	}
}
