package cause

// connectCauses: the broker has read a CONNECT and says no.
var connectCauses = []Cause{
	{
		ID: BadCredentials, Severity: Error, Stage: Connect,
		Title: Text{"the user name or the password is wrong", "用户名或密码错误"},
		Explain: Text{
			"The broker does not know the user {user}, or the password is not that user's. The client is told so by return code 4 or 5 (MQTT 3.1.1) or reason code 0x86 or 0x87 (MQTT 5); mosquitto answers 5. A file edited after the last reload, and a password stored as plain text instead of a hash, look the same.",
			"服务端没有用户 {user}，或者密码不对。客户端会收到返回码 4 或 5（MQTT 3.1.1）或原因码 0x86、0x87（MQTT 5）；mosquitto 一律回 5。密码文件改了却没有重载，或文件里写的是明文而不是哈希，现象完全相同。",
		},
		Remedy: Text{
			"Set the password again (`picket passwd FILE {user}`, or `mosquitto_passwd FILE {user}`) and reload the broker (`systemctl reload`, or SIGHUP). Plain passwords in the file become hashes with `passwd -U FILE`. Watch for a space or a capital letter that a phone's keyboard has added.",
			"重新设置密码（`picket passwd 〈文件〉 {user}` 或 `mosquitto_passwd 〈文件〉 {user}`），再重载服务端（`systemctl reload` 或发送 SIGHUP）。密码文件里的明文用 `passwd -U 〈文件〉` 转成哈希。注意手机键盘会自动加空格或把首字母变成大写。",
		},
	},
	{
		ID: UserDisabled, Severity: Error, Stage: Connect,
		Title: Text{"the user has been disabled", "该用户已被停用"},
		Explain: Text{
			"The password is right, but whoever runs the broker has disabled the user {user}. Return code 5, in MQTT 5 0x87.",
			"密码正确，但管理员停用了用户 {user}。返回码 5，MQTT 5 为 0x87。",
		},
		Remedy: Text{
			"`mosquitto_ctrl dynsec enableClient {user}` lets the user in again.",
			"用 `mosquitto_ctrl dynsec enableClient {user}` 重新启用该用户。",
		},
	},
	{
		ID: UserOtherClientID, Severity: Error, Stage: Connect,
		Title: Text{"the user may connect with another client identifier only", "该用户只能使用指定的 clientId 连接"},
		Explain: Text{
			"The password is right, but the user {user} is bound to one client identifier, and {client} is not it. Return code 5, in MQTT 5 0x87.",
			"密码正确，但用户 {user} 绑定了固定的 clientId，而 {client} 不是那一个。返回码 5，MQTT 5 为 0x87。",
		},
		Remedy: Text{
			"Give the client the identifier that the user is bound to (`mosquitto_ctrl dynsec getClient {user}` shows it), or bind the user to this one, or to none: `mosquitto_ctrl dynsec setClientId {user} [ID]`.",
			"让客户端使用绑定的 clientId（`mosquitto_ctrl dynsec getClient {user}` 可以查看），或者改绑到现在这个、或解除绑定：`mosquitto_ctrl dynsec setClientId {user} [ID]`。",
		},
	},
	{
		ID: AnonymousRefused, Severity: Error, Stage: Connect,
		Title: Text{"the broker wants a user name and a password", "服务端不接受匿名连接"},
		Explain: Text{
			"The client sent no user name, and this listener does not allow that: return code 5, in MQTT 5 reason code 0x87. mosquitto refuses anonymous clients since version 2.0 as soon as a listener is configured; Picket without a configuration lets only clients on the same machine in without a password.",
			"客户端没有提供用户名，而这个监听端口不允许匿名：返回码 5，MQTT 5 为原因码 0x87。mosquitto 从 2.0 起，只要配置了 listener 就默认拒绝匿名；Picket 在没有配置时只允许本机客户端免密码。",
		},
		Remedy: Text{
			"Enter the user name and the password in the client. To make a user: `picket passwd -c FILE USER`, then `password_file FILE` in the configuration, then reload. `allow_anonymous true` opens the listener to everyone who reaches it: for a test on a closed network only.",
			"在客户端填写用户名和密码。新建用户：`picket passwd -c 〈文件〉 〈用户〉`，在配置里写 `password_file 〈文件〉`，然后重载。`allow_anonymous true` 会让任何能连到端口的人都能进来，只适合在封闭网络里做测试。",
		},
	},
	{
		ID: AnonymousLocalOnly, Severity: Error, Stage: Connect,
		Title: Text{"only clients on the same machine need no password", "只有本机客户端可以免密码"},
		Explain: Text{
			"Picket runs without a configuration: a client on the same machine may leave the user name out, every other one has to log in, and this one, from {address}, did not. Return code 5, in MQTT 5 0x87.",
			"Picket 在没有配置文件的情况下运行：本机客户端可以不填用户名，其他客户端都必须登录，而来自 {address} 的这个客户端没有。返回码 5，MQTT 5 为 0x87。",
		},
		Remedy: Text{
			"Enter the user and the password that the first start printed. If they are lost, make new ones with `picket passwd` on the password file that every start names.",
			"填写首次启动时打印的用户名和密码。如果忘了，用 `picket passwd` 在每次启动时显示的密码文件里重新设置。",
		},
	},
	{
		ID: NoPasswordFile, Severity: Error, Stage: Connect,
		Title: Text{"the broker has no users to compare with", "服务端没有配置任何用户"},
		Explain: Text{
			"The client sent the user name {user}, but this listener has no password file, or one without users, and anonymous clients are not allowed either: nobody can log in. Return code 5, in MQTT 5 0x87.",
			"客户端发来了用户名 {user}，但该监听端口没有密码文件（或文件里没有用户），也不允许匿名：谁都无法登录。返回码 5，MQTT 5 为 0x87。",
		},
		Remedy: Text{
			"Make a user with `picket passwd -c FILE {user}`, write `password_file FILE` into the configuration, and reload. With `per_listener_settings true` the line belongs below its listener.",
			"用 `picket passwd -c 〈文件〉 {user}` 新建用户，在配置里写 `password_file 〈文件〉` 并重载。若设置了 `per_listener_settings true`，这一行要写在对应的 listener 下面。",
		},
	},
	{
		ID: Banned, Severity: Error, Stage: Connect,
		Title: Text{"this address, user or client identifier is banned", "该地址、用户或客户端标识已被封禁"},
		Explain: Text{
			"Whoever runs the broker has banned it (`picket ban`), or the broker has banned the address by itself after too many failures (`ban_after`). CONNECT is answered with return code 5, in MQTT 5 with 0x8A; who was connected is disconnected, in MQTT 5 with 0x98. The reason of MQTT 5, and the log, say what is banned, until when and why. When a banned address makes very many connections, the rest is closed without an answer.",
			"管理员用 `picket ban` 封禁了它，或者该地址失败次数过多，被服务端自动封禁（`ban_after`）。CONNECT 会收到返回码 5，MQTT 5 为 0x8A；已连接的会被断开，MQTT 5 为 0x98。MQTT 5 的原因字符串和服务端日志写明封禁的是什么、到什么时候、为什么。被封禁的地址连接过多时，其余的直接关闭、不再应答。",
		},
		Remedy: Text{
			"Wait until the time that the reason names, or ask whoever runs the broker. There, `picket ctl bans` lists the bans, and `picket unban` lifts one.",
			"等到原因中写明的时间，或联系服务端的管理员。管理员可用 `picket ctl bans` 列出所有封禁，用 `picket unban` 解除。",
		},
	},
	{
		ID: ServerFull, Severity: Error, Stage: Connect,
		Title: Text{"the broker takes no more clients for now", "服务端已满，暂不接受新客户端"},
		Explain: Text{
			"A limit of the broker is reached: `max_connections` of the listener, `global_max_connections`, `global_max_clients`, `memory_limit`, or the files that the system lets the broker open. CONNECT is answered with return code 3, in MQTT 5 with 0x97 and a reason that names the limit; in a flood the rest is closed without an answer. `picket ctl status` shows all limits and how near they are.",
			"服务端的某个上限已到：监听端口的 `max_connections`、`global_max_connections`、`global_max_clients`、`memory_limit`，或系统允许打开的文件数。CONNECT 会收到返回码 3，MQTT 5 为 0x97 并附上是哪个上限；连接过多时其余的直接关闭、不再应答。`picket ctl status` 显示所有上限和当前用量。",
		},
		Remedy: Text{
			"Try again later. On the broker's side: find the program that opens connections and never closes them, or raise the limit that the reason names.",
			"请稍后再试。服务端：找出只开不关连接的程序，或调高原因中指出的那个上限。",
		},
		ConsequenceOf: []ID{MaxConnections, FDLimit, MemoryLimit},
	},
	{
		ID: Maintenance, Severity: Warning, Stage: Connect,
		Title: Text{"the broker is closed for maintenance", "服务端正在维护"},
		Explain: Text{
			"Whoever runs the broker has closed it for a while (`picket ctl maintenance on`). New clients get return code 3, in MQTT 5 0x88, or 0x9C or 0x9D when they are to use another server, with the time of the end and a message in the reason. Connected clients are disconnected: MQTT 5 says 0x98, 0x9C or 0x9D.",
			"管理员用 `picket ctl maintenance on` 暂时关闭了服务。新客户端收到返回码 3，MQTT 5 为 0x88；若指定了另一台服务器则为 0x9C 或 0x9D，原因中写有结束时间和说明。已连接的客户端会被断开：MQTT 5 为 0x98、0x9C 或 0x9D。",
		},
		Remedy: Text{
			"Wait for the time that the reason names, or connect to the server that it names. `picket ctl status` shows the maintenance, `picket ctl maintenance off` ends it.",
			"等到原因中写明的时间，或连接其中给出的服务器。`picket ctl status` 查看维护状态，`picket ctl maintenance off` 结束维护。",
		},
	},
	{
		ID: AuthMethodUnknown, Severity: Error, Stage: Connect,
		Title: Text{"the broker does not offer this authentication method", "不支持客户端要求的认证方法"},
		Explain: Text{
			"An MQTT 5 client asked for enhanced authentication with a method that the broker does not have, or changed the method halfway: reason code 0x8C. Picket has SCRAM-SHA-256 and, where tokens are taken, OAUTH2-JWT.",
			"MQTT 5 客户端要求使用服务端没有的增强认证方法，或者中途换了方法：原因码 0x8C。Picket 提供 SCRAM-SHA-256；接受令牌时还有 OAUTH2-JWT。",
		},
		Remedy: Text{
			"Choose SCRAM-SHA-256 in the client and give the user a SCRAM entry in the password file, or leave the method empty and use user name and password.",
			"在客户端选择 SCRAM-SHA-256，并在密码文件里给该用户建立 SCRAM 条目；或者不填认证方法，直接用用户名和密码。",
		},
	},
	{
		ID: AuthBackendDown, Severity: Error, Stage: Connect,
		Title: Text{"the service that checks passwords does not answer", "认证后端没有响应"},
		Explain: Text{
			"The broker asks another service (HTTP, database, LDAP, Redis) whether a user may come in, and that service is down or slow. Everyone is refused, right and wrong passwords alike, often after a wait: return code 3 or 5, in MQTT 5 0x88. The broker's log shows time-outs of the service.",
			"服务端要向外部系统（HTTP、数据库、LDAP、Redis）查询用户，而该系统宕机或很慢。所有人都被拒绝，密码对错都一样，而且往往要等一会儿：返回码 3 或 5，MQTT 5 为 0x88。服务端日志里有后端超时。",
		},
		Remedy: Text{
			"Bring the service back and watch its response time. Let the broker keep answers for a while, so that a short outage lets known clients in and nobody else: in Picket `auth_opt_cache true`, with `auth_opt_when_down last`; its log says which back end fails, and why.",
			"恢复后端并关注其响应时间。让服务端缓存一段时间的认证结果，这样短暂故障时已知客户端还能进来，其他人仍被拒绝：在 Picket 中写 `auth_opt_cache true` 和 `auth_opt_when_down last`；它的日志写明哪个后端出了什么错。",
		},
	},
	{
		ID: JWTExpired, Severity: Warning, Stage: Connect,
		Title: Text{"the client's token has ended", "客户端的令牌已过期"},
		Explain: Text{
			"The JSON Web Token that the client has shown is signed as it should be, but the time in its `exp` has passed. A client that comes with it is refused: return code 5, in MQTT 5 0x87. One that is connected is cut off at that time, in MQTT 5 with 0xA0, and its will is published.",
			"客户端出示的 JWT 签名正确，但 `exp` 中的时间已过。用它来连接会被拒绝：返回码 5，MQTT 5 为 0x87。已连接的客户端到时会被断开，MQTT 5 为 0xA0，并发布其遗嘱。",
		},
		Remedy: Text{
			"Get a new token before the old one ends, and connect with it; an MQTT 5 client that uses the method OAUTH2-JWT can renew it within the connection. If tokens end too early, look at the clocks of the broker and of whoever issues them (`jwt_leeway`).",
			"在旧令牌过期前取得新令牌再连接；使用 OAUTH2-JWT 方法的 MQTT 5 客户端可以在连接中续期。若令牌过早失效，请核对服务端与签发方的时钟（`jwt_leeway`）。",
		},
	},
	{
		ID: JWTRefused, Severity: Error, Stage: Connect,
		Title: Text{"the client's token is not believed", "客户端的令牌不被信任"},
		Explain: Text{
			"The client has shown a JSON Web Token that the broker cannot use: return code 5, in MQTT 5 0x87. The reason says why: it is signed with another key or in a way that the key is not for, it is from another issuer (`iss`), for somebody else (`aud`), not valid yet (`nbf`), or lacks a claim that is needed.",
			"客户端出示的 JWT 无法使用：返回码 5，MQTT 5 为 0x87。原因中写明为什么：签名所用的密钥或算法不对，签发者（`iss`）不对，受众（`aud`）是别人，尚未生效（`nbf`），或缺少必需的声明。",
		},
		Remedy: Text{
			"Compare the token (its first two parts are base64url) with `jwt_keys`, `jwt_issuer`, `jwt_audience` and `jwt_user` in the configuration. After keys were changed in a file, run `picket ctl reload`.",
			"把令牌（前两段是 base64url）与配置中的 `jwt_keys`、`jwt_issuer`、`jwt_audience` 和 `jwt_user` 对照。文件中的密钥改动后，请执行 `picket ctl reload`。",
		},
	},
	{
		ID: ProtocolVersion, Severity: Error, Stage: Connect,
		Title: Text{"this version of MQTT is not accepted here", "MQTT 协议版本不被接受"},
		Explain: Text{
			"CONNECT names a version that does not exist or that this listener does not accept: return code 1, in MQTT 5 0x84, or the connection is closed. Level 3 goes with the name MQIsdp, levels 4 and 5 with the name MQTT; a mixture of the two is refused too.",
			"CONNECT 里的协议版本不存在，或该监听端口不接受：返回码 1，MQTT 5 为 0x84，也可能直接断开。级别 3 必须配名称 MQIsdp，级别 4、5 配 MQTT，混用也会被拒绝。",
		},
		Remedy: Text{
			"Choose MQTT 3.1.1 (in many programs: version 4, or mqttv311) in the client. On the broker, `accept_protocol_versions` says which versions a listener takes (Picket, and mosquitto since 2.1).",
			"客户端选 MQTT 3.1.1（有的软件写作版本 4 或 mqttv311）。服务端的 `accept_protocol_versions` 决定监听端口接受哪些版本（Picket，以及 mosquitto 2.1 起）。",
		},
	},
	{
		ID: EmptyClientID, Severity: Error, Stage: Connect,
		Title: Text{"an empty client identifier is not accepted", "客户端标识（clientId）为空"},
		Explain: Text{
			"The client sent no identifier and wants its session kept (clean session off), speaks MQTT 3.1, or the broker forbids empty identifiers: return code 2, in MQTT 5 0x85.",
			"客户端没有给出 clientId，却要求保留会话（Clean Session 为 0），或使用 MQTT 3.1，或服务端禁止空标识：返回码 2，MQTT 5 为 0x85。",
		},
		Remedy: Text{
			"Give the client an identifier of its own, at most 23 letters and digits for MQTT 3.1; or turn clean session on. On the broker, see `allow_zero_length_clientid`.",
			"给客户端设置一个唯一的 clientId（MQTT 3.1 最多 23 个字母或数字），或打开 Clean Session。服务端见 `allow_zero_length_clientid`。",
		},
	},
	{
		ID: ClientIDPrefix, Severity: Error, Stage: Connect,
		Title: Text{"the client identifier does not begin as the broker demands", "clientId 前缀不符合要求"},
		Explain: Text{
			"The broker has `clientid_prefixes` and accepts only identifiers that begin so; {client} does not. Return code 5, in MQTT 5 0x85 or 0x87.",
			"服务端设置了 `clientid_prefixes`，只接受指定前缀的标识，而 {client} 不符合。返回码 5，MQTT 5 为 0x85 或 0x87。",
		},
		Remedy: Text{
			"Change the identifier in the client, or the prefixes on the broker.",
			"修改客户端的 clientId，或修改服务端的前缀设置。",
		},
	},
	{
		ID: ClientIDRefused, Severity: Error, Stage: Connect,
		Title: Text{"the client identifier is not acceptable", "clientId 不合法"},
		Explain: Text{
			"The identifier is too long, is not valid UTF-8, or has characters that the broker does not take: return code 2, in MQTT 5 0x85.",
			"clientId 太长、不是合法的 UTF-8，或含有服务端不接受的字符：返回码 2，MQTT 5 为 0x85。",
		},
		Remedy: Text{
			"Use letters, digits, dash and underscore. Every MQTT version takes 1 to 23 of them; the newer ones take more.",
			"只用字母、数字、短横线和下划线。所有版本都接受 1 到 23 个字符，较新的版本可以更长。",
		},
	},
	{
		ID: KeepaliveRefused, Severity: Error, Stage: Connect,
		Title: Text{"the keep alive is zero or too long for this broker", "keepalive 为 0 或超过上限"},
		Explain: Text{
			"The broker has a longest keep alive (`max_keepalive`), and an MQTT 3 client asks for more or for none: return code 2. MQTT 5 clients are told the broker's own value instead. On mosquitto this begins with an upgrade to 2.0.12, and the log has k0 in the client's line.",
			"服务端设有最长保活时间（`max_keepalive`），而 MQTT 3 客户端要的更长或为 0：返回码 2。MQTT 5 客户端则会收到服务端给出的值。mosquitto 升级到 2.0.12 后会突然出现，日志里该客户端一行有 k0。",
		},
		Remedy: Text{
			"Set a keep alive of 30 to 60 seconds in the client, or take `max_keepalive` out of the configuration.",
			"客户端的 keepalive 设为 30 到 60 秒，或去掉配置中的 `max_keepalive`。",
		},
	},
	{
		ID: WillRefused, Severity: Error, Stage: Connect,
		Title: Text{"the client's will cannot be accepted", "遗嘱（Will）不被接受"},
		Explain: Text{
			"The will in CONNECT names an invalid topic or one that the user may not publish to, or asks for a QoS, a retained message or a size that the broker does not take. The connection is refused, since its last message could never be delivered.",
			"CONNECT 里的遗嘱主题不合法、用户无权发布，或其 QoS、保留标志、大小不被服务端接受。既然遗嘱永远发不出去，连接就会被拒绝。",
		},
		Remedy: Text{
			"Correct topic, QoS, retain flag or size of the will in the client, or allow the topic {topic} to the user in the ACL.",
			"在客户端改正遗嘱的主题、QoS、保留标志或大小，或在 ACL 中允许该用户发布 {topic}。",
		},
	},
}
