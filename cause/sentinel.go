package cause

// sentinelCauses: why a Redis that is down is not failed over, or not yet.
var sentinelCauses = []Cause{
	{
		ID: SentinelNoQuorum, Severity: Error, Stage: Sentinel,
		Title: Text{"not enough sentinels see the master as down", "认为主节点下线的哨兵数不足"},
		Explain: Text{
			"This sentinel cannot reach the master, and fewer sentinels than the quorum agree: the others still reach it, or they cannot be asked. No failover begins.",
			"本哨兵连不上主节点，但同意的哨兵少于 quorum：其他哨兵还能连上它，或者联系不到其他哨兵。不会开始故障转移。",
		},
		Remedy: Text{
			"If the master is really down, bring the other sentinels back or lower the quorum (`SENTINEL SET`). If only this sentinel cannot reach it, look at the network between the two.",
			"如果主节点确实宕机，请恢复其他哨兵或调低 quorum（`SENTINEL SET`）。如果只有本哨兵连不上，请检查两者之间的网络。",
		},
	},
	{
		ID: SentinelNoMajority, Severity: Error, Stage: Sentinel,
		Title: Text{"fewer than half of the sentinels can be reached", "能联系到的哨兵不足半数"},
		Explain: Text{
			"A failover needs a leader, and a leader needs the votes of most of the known sentinels, whatever the quorum is. So many cannot be reached from here.",
			"故障转移需要选出领头哨兵，无论 quorum 是多少，都要得到多数已知哨兵的投票，而现在联系不到这么多。",
		},
		Remedy: Text{
			"Bring sentinels back. Those that are gone for good must be forgotten: `SENTINEL RESET` on each remaining one, one after the other.",
			"恢复哨兵。永久下线的要让其余哨兵忘记它们：在每个哨兵上依次执行 `SENTINEL RESET`。",
		},
	},
	{
		ID: SentinelNoGoodReplica, Severity: Error, Stage: Sentinel,
		Title: Text{"no replica is fit to become the master", "没有可提升的从节点"},
		Explain: Text{
			"Every known replica is down, too far behind, has not answered for too long, or has priority 0. The log line says of each why.",
			"所有已知从节点要么下线，要么复制落后太多、太久没有响应，要么优先级为 0。日志行逐个说明原因。",
		},
		Remedy: Text{
			"Bring a replica back and let it catch up, or set `replica-priority` above 0 on one.",
			"恢复一个从节点并让它追上数据，或把某个从节点的 `replica-priority` 设为大于 0。",
		},
	},
	{
		ID: SentinelWaitingForLeader, Severity: Info, Stage: Sentinel,
		Title: Text{"another sentinel was voted for and is given its time", "已投票给其他哨兵，正在等待"},
		Explain: Text{
			"This sentinel gave its vote to another one and does not try a failover itself until twice the failover time-out has passed.",
			"本哨兵已把票投给另一个哨兵，在两倍 failover-timeout 之内不会自己发起故障转移。",
		},
		Remedy: Text{
			"Wait; look at the other sentinel's log if nothing happens.",
			"请等待；如果一直没有动静，查看那个哨兵的日志。",
		},
	},
	{
		ID: SentinelWaitingForVotes, Severity: Info, Stage: Sentinel,
		Title: Text{"an election is under way", "正在选举领头哨兵"},
		Explain: Text{
			"The sentinels have been asked for their votes, and nobody has enough of them yet.",
			"已向各哨兵请求投票，目前还没有谁得到足够的票数。",
		},
		Remedy: Text{
			"Wait. If elections keep ending without a winner, see whether the sentinels reach each other.",
			"请等待。如果选举总是没有结果，检查哨兵之间能否互相连通。",
		},
	},
	{
		ID: SentinelWaitingToRetry, Severity: Warning, Stage: Sentinel,
		Title: Text{"the last failover did not succeed, the next one has to wait", "上次故障转移未成功，等待重试"},
		Explain: Text{
			"An attempt ended without a new master. The next one begins after twice the failover time-out, so that the sentinels do not work against each other.",
			"上一次尝试没有产生新的主节点。为避免哨兵互相干扰，要等两倍 failover-timeout 之后才会再试。",
		},
		Remedy: Text{
			"The log says at which step it ended. A shorter `failover-timeout` makes the wait shorter.",
			"日志写明了它停在哪一步。调小 `failover-timeout` 可缩短等待。",
		},
		ConsequenceOf: []ID{SentinelNoGoodReplica, SentinelNoMajority, SentinelMissingPermission},
	},
	{
		ID: SentinelTilt, Severity: Warning, Stage: Sentinel,
		Title: Text{"the clock jumped or the process stood still", "时钟跳变或进程停顿"},
		Explain: Text{
			"Times cannot be trusted for now, so for 30 seconds this sentinel only watches: it starts no failover and tells others nothing. A sleeping virtual machine, an overloaded host or a clock set by hand do this.",
			"时间暂时不可信，因此本哨兵 30 秒内只观察：不发起故障转移，也不向其他哨兵表态。虚拟机休眠、主机过载或手动改时间都会造成这种情况。",
		},
		Remedy: Text{
			"Give the process its share of the processor, and let NTP adjust the clock slowly.",
			"保证进程能及时得到 CPU，并让 NTP 平滑校时。",
		},
	},
	{
		ID: SentinelWrongPassword, Severity: Error, Stage: Sentinel,
		Title: Text{"a Redis server or a sentinel refuses the password", "Redis 或哨兵拒绝了密码"},
		Explain: Text{
			"{address} answers AUTH with an error. It is not counted as down for that, because it answers; but it cannot be watched or failed over either.",
			"{address} 对 AUTH 返回错误。它有应答，所以不算下线，但也无法被监控和故障转移。",
		},
		Remedy: Text{
			"Correct `sentinel auth-pass` and `sentinel auth-user`, for other sentinels `sentinel sentinel-pass`; replicas need the same password as their master.",
			"改正 `sentinel auth-pass` 和 `sentinel auth-user`，哨兵之间用 `sentinel sentinel-pass`；从节点的密码必须与主节点一致。",
		},
	},
	{
		ID: SentinelMissingPermission, Severity: Error, Stage: Sentinel,
		Title: Text{"the sentinel's user may not give a command that a failover needs", "哨兵用户缺少所需命令的权限"},
		Explain: Text{
			"{address} answers NOPERM to {user}: its access list does not allow a command that the log line names.",
			"{address} 对用户 {user} 返回 NOPERM：其 ACL 不允许日志行中所写的命令。",
		},
		Remedy: Text{
			"Give the user `+multi +slaveof +replicaof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill` and `allchannels`.",
			"给该用户加上 `+multi +slaveof +replicaof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill` 和 `allchannels`。",
		},
	},
	{
		ID: SentinelPeerUnreachable, Severity: Warning, Stage: Sentinel,
		Title: Text{"another sentinel announces an address where nobody answers", "另一个哨兵公布的地址无法访问"},
		Explain: Text{
			"A sentinel says hello through the master and gives {address} as its own; from here nothing answers there. Behind Docker or NAT a sentinel announces an address that only its own host knows.",
			"有哨兵通过主节点宣告自己的地址是 {address}，但从这里访问不到。在 Docker 或 NAT 后面，哨兵会公布只有它所在主机才认识的地址。",
		},
		Remedy: Text{
			"Set `sentinel announce-ip` and `sentinel announce-port` there to what the others can reach, or open its port in the firewall.",
			"在那个哨兵上把 `sentinel announce-ip` 和 `sentinel announce-port` 设为其他哨兵能访问的地址，或在防火墙放行其端口。",
		},
	},
	{
		ID: SentinelPingRefused, Severity: Error, Stage: Sentinel,
		Title: Text{"a Redis server answers PING with an error", "Redis 对 PING 返回错误"},
		Explain: Text{
			"{address} is up and answers PING with an error such as MISCONF, so it counts as down: clients could not use it either.",
			"{address} 在运行，但对 PING 返回 MISCONF 之类的错误，因此视为下线：客户端同样无法使用它。",
		},
		Remedy: Text{
			"Read the error in the log line. MISCONF: Redis cannot write its snapshot, look at its disk.",
			"查看日志行中的错误。MISCONF 表示 Redis 无法写快照，请检查磁盘。",
		},
	},
	{
		ID: SentinelConfigNotSaved, Severity: Error, Stage: Sentinel,
		Title: Text{"the sentinel cannot write its configuration file", "哨兵无法写入配置文件"},
		Explain: Text{
			"{file} cannot be written. A vote that would be forgotten in a restart could be given twice, so none is given.",
			"{file} 无法写入。如果重启后忘记投过的票，就可能重复投票，因此不会投票。",
		},
		Remedy: Text{
			"Make room on the disk, and let the sentinel's user write the file and its folder.",
			"清理磁盘，并让哨兵的运行用户可以写该文件及其所在目录。",
		},
	},
	{
		ID: SentinelNameUnresolved, Severity: Error, Stage: Sentinel,
		Title: Text{"a host name has no address", "主机名无法解析"},
		Explain: Text{
			"{host} cannot be resolved, so what is there cannot be watched.",
			"{host} 无法解析，因此无法监控该主机。",
		},
		Remedy: Text{
			"Correct the name or the resolver. With `sentinel resolve-hostnames no`, write addresses.",
			"改正名称或 DNS 设置。若为 `sentinel resolve-hostnames no`，请直接写 IP 地址。",
		},
	},
	{
		ID: SentinelHandoverRefused, Severity: Error, Stage: Sentinel,
		Title: Text{"the master refused to hand over", "主节点拒绝移交"},
		Explain: Text{
			"A coordinated failover asks the master to step back with FAILOVER, and {address} answered with an error: the replica is not connected, another handover is under way, or the sentinel's user may not do this.",
			"协调故障转移会用 FAILOVER 请主节点让位，而 {address} 返回了错误：从节点未连接、已有移交正在进行，或哨兵用户没有权限。",
		},
		Remedy: Text{
			"See with `INFO replication` that the replica is online and caught up, give the sentinel's user `+failover`, and try again; `SENTINEL FAILOVER` without coordination does not ask the master.",
			"用 `INFO replication` 确认从节点在线且已追上，给哨兵用户加上 `+failover`，再重试；不带协调的 `SENTINEL FAILOVER` 不需要主节点同意。",
		},
	},
	{
		ID: SentinelServerUnproved, Severity: Error, Stage: Sentinel,
		Title: Text{"another server may have taken the address", "该地址上可能是另一台服务器"},
		Explain: Text{
			"A server with data of its own answers at an address of this group, and nothing shows that they are a copy of this master's: neither its run id nor its replication history is known. It may be a stranger that was given the address of a container that is gone, so it is neither promoted nor made a replica, which would delete its data. An old master that was restarted from an append-only file looks the same: Redis keeps its history in RDB files only.",
			"本组的一个地址上有一台带有自己数据的服务器在应答，却没有任何迹象表明这些数据是本主节点的副本：它的 run id 和复制历史都不认识。它可能是拿到了已消失容器地址的陌生服务器，因此既不会被提升，也不会被设为从节点（那会删除它的数据）。从 AOF 重启的旧主节点看起来也是这样：Redis 只在 RDB 文件里保存复制历史。",
		},
		Remedy: Text{
			"If it belongs to the group and its data may go, run `REPLICAOF` on it yourself. If its address is never given to another server, `sentinel picket-adopt NAME yes` (or `SENTINEL SET NAME picket-adopt yes`) has this done each time. If it is a stranger, forget the address: `SENTINEL RESET NAME`.",
			"如果它属于本组且其数据可以丢弃，请在它上面执行 `REPLICAOF`。如果这些地址绝不会分给别的服务器，用 `sentinel picket-adopt 〈名称〉 yes`（或 `SENTINEL SET 〈名称〉 picket-adopt yes`）让哨兵每次自动处理。如果它是陌生服务器，用 `SENTINEL RESET 〈名称〉` 忘掉该地址。",
		},
	},
	{
		ID: SentinelHTTPRequest, Severity: Warning, Stage: Sentinel,
		Title: Text{"a browser or HTTP client talks to the sentinel's port", "浏览器或 HTTP 客户端连到了哨兵端口"},
		Explain: Text{
			"The first bytes from {address} are an HTTP request. A web page can have a browser send one to any port of the machine it runs on, and the lines of its body would be commands. The connection is ended and nothing of it is run.",
			"来自 {address} 的头几个字节是 HTTP 请求。任何网页都能让浏览器向本机端口发送请求，请求体的每一行都会成为命令。连接已断开，其中的内容一条也没有执行。",
		},
		Remedy: Text{
			"A health check: use TCP, or `PING` over the Redis protocol. Nobody you know: find out which page is open on that machine, and set a password (`requirepass`).",
			"如果是健康检查，请改用 TCP 检查或 Redis 协议的 `PING`。如果来源不明，查看那台机器上打开了什么网页，并设置密码（`requirepass`）。",
		},
	},
	{
		ID: SentinelWouldLoseAcknowledged, Severity: Error, Stage: Sentinel,
		Title: Text{"a promotion could lose writes that were acknowledged", "提升从节点可能丢失已确认的写入"},
		Explain: Text{
			"With `picket-sealed NAME ACKS` a replica is promoted only if it certainly has every write that ACKS replicas have acknowledged. Too few replicas can be asked what they have, so the furthest of those that answer may lack some. The log line names the ones that are missed.",
			"设置了 `picket-sealed 〈名称〉 〈确认数〉` 时，只有确定拥有全部已由 〈确认数〉 个从节点确认的写入的从节点才会被提升。现在能询问的从节点太少，其中最新的也可能缺少一部分。日志行列出了缺少哪些从节点。",
		},
		Remedy: Text{
			"Bring the missing replicas back: the failover then goes on by itself. Replicas that are gone for good: `SENTINEL RESET NAME` while the master is up. To promote all the same, and lose what only the missing ones have: `SENTINEL FAILOVER NAME`.",
			"恢复缺少的从节点，故障转移会自动继续。永久下线的从节点：在主节点正常时执行 `SENTINEL RESET 〈名称〉`。若要不顾丢失强行提升（只在缺失节点上的写入会丢失）：`SENTINEL FAILOVER 〈名称〉`。",
		},
	},
	{
		ID: SentinelGroupNotSealed, Severity: Warning, Stage: Sentinel,
		Title: Text{"another sentinel of the group promotes without sealing", "组内有哨兵提升时不封存从节点"},
		Explain: Text{
			"`picket-sealed` keeps acknowledged writes only if every sentinel of the group has it: any of them may be elected, and one of Redis, or one that was not told to, promotes a replica that may lack some.",
			"只有组内每个哨兵都启用 `picket-sealed`，已确认的写入才有保证：任何一个都可能当选，而 Redis 自带的哨兵或未启用的哨兵可能提升缺少数据的从节点。",
		},
		Remedy: Text{
			"Set `sentinel picket-sealed NAME ACKS` with the same number on every sentinel, and replace those of Redis.",
			"在每个哨兵上设置相同数值的 `sentinel picket-sealed 〈名称〉 〈确认数〉`，并换掉 Redis 自带的哨兵。",
		},
	},
}
