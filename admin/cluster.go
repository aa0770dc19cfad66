package admin

import (
	"fmt"
	"strings"
	"time"

	"picket/cause"
	"picket/cluster"
	"picket/printable"
)

// clusterWords are the texts about a cluster in one language.
type clusterWords struct {
	none                                                   string
	node, absent, serves, learns, outside, unproven, dead  string
	redis, oneServer, servers, redisAway                   string
	wanted, unsettled, held, dropped                       string
	alone, linked, unlinked, buried, wants, counts, unseen string
	waiting, mailbox                                       string
}

var clusterTexts = map[cause.Lang]clusterWords{
	cause.English: {
		none: "This broker is no node of several: its configuration has no cluster_address.\n",
		node: "node %s, number %d: %s\n", absent: "node %s: %s\n",
		serves: "serves clients", learns: "lets no clients in before it knows what all others want", outside: "has not joined its cluster",
		unproven: "  acknowledges nothing of QoS 1 and 2: it has not shown in Redis lately that it lives\n", dead: "  the others took it for dead at %s; it has joined again, or tries to\n",
		redis: "  Redis %s answers, for %s", oneServer: "; what is acknowledged is on the master alone\n", servers: "; what is acknowledged is on %d servers\n", redisAway: "  Redis %s does not answer, for %s\n",
		wanted: "  its clients want %d topic filters\n", unsettled: "  not settled: %d runs of QoS 1 and 2, %d bytes\n", held: "  publishers are held back until less is unsettled\n", dropped: "  dropped at QoS 0: %d messages\n",
		alone:  "  there are no other nodes\n",
		linked: "%s, number %d  linked for %s\n", unlinked: "%s, number %d  NO LINK for %s\n", buried: "%s, number %d  DEAD: what is published for its subscribers waits until the others have taken over\n",
		wants: "  its clients want %d topic filters\n", counts: "  messages: %d out, %d in, %d dropped at QoS 0\n",
		unseen: "  has not seen the last %d changes of subscriptions here: clients wait for SUBACK\n", waiting: "  waiting: %d frames, %d runs not settled\n", mailbox: "  by its mailbox in Redis: %d frames waiting, %d runs not settled\n",
	},
	cause.Chinese: {
		none: "该服务端不是集群节点：配置中没有 cluster_address。\n",
		node: "节点 %s，编号 %d：%s\n", absent: "节点 %s：%s\n",
		serves: "接受客户端", learns: "在得知所有其他节点的订阅之前不接受客户端", outside: "尚未加入集群",
		unproven: "  不确认任何 QoS 1 和 2：最近没有在 Redis 中表明自己存活\n", dead: "  其他节点曾于 %s 认定它已死；它已重新加入，或正在尝试\n",
		redis: "  Redis %s 正常应答，持续 %s", oneServer: "；确认的内容只在主节点上\n", servers: "；确认的内容在 %d 台服务器上\n", redisAway: "  Redis %s 没有应答，持续 %s\n",
		wanted: "  其客户端需要 %d 个主题过滤器\n", unsettled: "  未完成：QoS 1 和 2 的 %d 批消息，%d 字节\n", held: "  暂停读取发布者，直到未完成的减少\n", dropped: "  QoS 0 丢弃：%d 条消息\n",
		alone:  "  没有其他节点\n",
		linked: "%s，编号 %d  已连接，持续 %s\n", unlinked: "%s，编号 %d  没有连接，持续 %s\n", buried: "%s，编号 %d  已死：发给其订阅者的消息等待其他节点接管\n",
		wants: "  其客户端需要 %d 个主题过滤器\n", counts: "  消息：发出 %d，收到 %d，QoS 0 丢弃 %d\n",
		unseen: "  尚未得知本节点最近 %d 次订阅变化：客户端在等待 SUBACK\n", waiting: "  等待中：%d 个帧，%d 批消息未完成\n", mailbox: "  经由它在 Redis 中的邮箱：%d 个帧等待，%d 批消息未完成\n",
	},
}

// ClusterText tells how it is with the broker as a node of a cluster, and between it and each other node; where there is no link, why, and what to do about it. at is the time of the status.
func (s *Status) ClusterText(l cause.Lang, at time.Time) string {
	var b strings.Builder
	w := clusterTexts[l]
	if s.Cluster == nil {
		return w.none
	}
	selfText(&b, s.Cluster, w, l, at)
	for i := range s.Cluster.Nodes {
		nodeText(&b, &s.Cluster.Nodes[i], w, l, at)
	}
	return b.String()
}

func selfText(b *strings.Builder, s *cluster.State, w clusterWords, l cause.Lang, at time.Time) {
	switch {
	case s.Incarnation == 0:
		fmt.Fprintf(b, w.absent, s.Name, w.outside)
	case s.Serving:
		fmt.Fprintf(b, w.node, s.Name, s.Incarnation, w.serves)
	default:
		fmt.Fprintf(b, w.node, s.Name, s.Incarnation, w.learns)
	}
	if !s.Leased {
		b.WriteString(w.unproven)
	}
	if !s.Fenced.IsZero() {
		fmt.Fprintf(b, w.dead, s.Fenced.Local().Format(time.DateTime))
	}
	redisText(b, &s.Redis, w, l, at)
	fmt.Fprintf(b, w.wanted, s.Routes)
	if s.Unsettled > 0 {
		fmt.Fprintf(b, w.unsettled, s.Unsettled, s.UnsettledBytes)
	}
	if s.HeldBack {
		b.WriteString(w.held)
	}
	if s.Dropped > 0 {
		fmt.Fprintf(b, w.dropped, s.Dropped)
	}
	if len(s.Nodes) == 0 {
		b.WriteString(w.alone)
	}
}

func redisText(b *strings.Builder, s *cluster.RedisState, w clusterWords, l cause.Lang, at time.Time) {
	switch since := at.Sub(s.Since).Round(time.Second); {
	case s.Since.IsZero(): // it has not been asked yet
	case !s.Answers:
		fmt.Fprintf(b, w.redisAway, s.Address, since)
		whyText(b, s.Cause, s.Text, l)
	case s.Servers <= 1:
		fmt.Fprintf(b, w.redis+w.oneServer, s.Address, since)
	default:
		fmt.Fprintf(b, w.redis+w.servers, s.Address, since, s.Servers)
	}
}

func nodeText(b *strings.Builder, s *cluster.NodeState, w clusterWords, l cause.Lang, at time.Time) {
	name := s.Name
	if s.Address != s.Name {
		name += " (" + s.Address + ")"
	}
	name = printable.Text(name) // it stands in Redis, and this is a terminal
	since := at.Sub(s.Since).Round(time.Second)
	waiting := w.waiting
	switch {
	case s.Dead:
		fmt.Fprintf(b, w.buried, name, s.Incarnation)
		return
	case s.Linked:
		fmt.Fprintf(b, w.linked, name, s.Incarnation, since)
	default:
		fmt.Fprintf(b, w.unlinked, name, s.Incarnation, since)
		whyText(b, s.Cause, s.Text, l)
		waiting = w.mailbox
	}
	fmt.Fprintf(b, w.wants, s.Routes)
	fmt.Fprintf(b, w.counts, s.Out, s.In, s.Dropped)
	if !s.Linked || s.Waiting > 0 || s.Unsettled > 0 {
		fmt.Fprintf(b, waiting, s.Waiting, s.Unsettled)
	}
	if s.Unseen > 0 {
		fmt.Fprintf(b, w.unseen, s.Unseen)
	}
}

// whyText is a cause that stands now, and what to do about it.
func whyText(b *strings.Builder, id cause.ID, text string, l cause.Lang) {
	if id != "" {
		fmt.Fprintf(b, "  %s  [%s]\n", printable.Text(text), id)
	}
	if c, ok := cause.Lookup(id); ok {
		if remedy, err := c.Remedy.Render(l, nil); err == nil {
			fmt.Fprintf(b, "  %s\n", remedy)
		}
	}
}
