package main

import (
	"time"

	"picket/cause"
)

// ctlCluster is "picket ctl cluster".
type ctlCluster struct{ adminFlags }

func (ctlCluster) details() details {
	return details{
		Text: cause.Text{EN: `Shows what a broker with cluster_address knows: whether it serves clients, how Redis answers, and for each other node whether there is a link and since
when, what has passed, what waits; or why there is no link, and what to do about that.`, ZH: `显示写有 cluster_address 的服务端所了解的情况：是否接受客户端、Redis 应答如何，以及与每个其他节点之间有没有连接、从何时开始、传了多少消息、有多少在等待；没有连接时，说明原因和该怎么办。`},
		examples: `picket ctl cluster
picket ctl cluster --json
picket ctl cluster --lang zh`,
	}
}

// Run asks and prints.
func (c *ctlCluster) Run(e *env) error {
	s, err := c.status(e)
	if err != nil {
		return err
	}
	return c.print(e, s.Cluster, s.ClusterText(e.lang(), time.Now()))
}
