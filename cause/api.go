package cause

// apiCauses: a request to the HTTP API is not carried out.
var apiCauses = []Cause{
	{
		ID: APIRequestInvalid, Severity: Error, Stage: API,
		Title: Text{"the request cannot be understood", "无法理解该请求"},
		Explain: Text{
			"The method is not one of this resource, a parameter or a member of the body is unknown, missing, given twice or not of its form, or the body is no JSON or too large. Nothing was changed. The detail says what, and where.",
			"方法不适用于该资源；或者某个参数、请求体的成员不认识、缺失、重复或格式不对；或者请求体不是 JSON、太大。没有做任何更改。detail 说明是哪里、什么问题。",
		},
		Remedy: Text{
			"Compare the request with `GET /api/v1/openapi.json`, which lists every parameter and every member.",
			"对照 `GET /api/v1/openapi.json` 检查请求，其中列出了全部参数和成员。",
		},
	},
	{
		ID: APINotFound, Severity: Warning, Stage: API,
		Title: Text{"there is no such thing", "找不到请求的对象"},
		Explain: Text{
			"The API has nothing at this path, or the client, session, retained message, user or ban that was asked for is not there. The detail says which.",
			"接口没有这个路径，或者请求的客户端、会话、保留消息、用户、封禁不存在。detail 说明是哪一个。",
		},
		Remedy: Text{
			"Compare the path with `GET /api/v1/openapi.json`; client identifiers, topics and names are compared byte by byte.",
			"对照 `GET /api/v1/openapi.json` 检查路径；客户端标识、主题和名称按字节逐一比较。",
		},
	},
	{
		ID: APIConflict, Severity: Warning, Stage: API,
		Title: Text{"the request cannot be carried out as things are", "在当前状态下无法执行"},
		Explain: Text{
			"The request was understood, but what it asks for does not fit what is there: a client that is not connected, a user that exists already, a broker without a file for it, a confirm code of another preview, a configuration that is wrong. The detail says what.",
			"请求本身没有问题，但与当前状态不符：客户端不在线、用户已存在、服务端没有对应的文件、确认码属于另一次预览、配置有错误等。detail 说明具体原因。",
		},
		Remedy: Text{
			"Do what the detail says, or ask for the present state and try again.",
			"按 detail 的说明处理，或重新查询当前状态后再试。",
		},
	},
	{
		ID: APIRevision, Severity: Info, Stage: API,
		Title: Text{"what was to be changed has changed meanwhile", "要修改的内容已被别人改动"},
		Explain: Text{
			"The request named a revision (If-Match) of the users and rights, or of the bans, and there is another by now: somebody else was quicker. Nothing was changed.",
			"请求用 If-Match 指定了用户和权限（或封禁）的版本，而现在已是另一个版本：别人先做了修改。本次请求没有改变任何内容。",
		},
		Remedy: Text{
			"Ask for the present state, look whether the change is still right, and send it again with the ETag of that answer.",
			"重新查询当前状态，确认修改仍然合适，再用该应答中的 ETag 重新发送。",
		},
	},
	{
		ID: APIFailed, Severity: Error, Stage: API,
		Title: Text{"the broker could not carry out the request", "服务端执行请求时失败"},
		Explain: Text{
			"Something that the request needs did not work: a file that cannot be written, a store that refuses, a deadline of ten seconds that has passed. The detail says what; whether the change was made may not be known.",
			"请求所需的某个操作失败了：文件无法写入、存储拒绝、超过 10 秒时限等。detail 说明具体原因；更改是否已经生效可能无法确定。",
		},
		Remedy: Text{
			"Look at the broker's log at this time, and ask for the present state before trying again.",
			"查看服务端此刻的日志；重试之前先查询当前状态。",
		},
	},
	{
		ID: AuditNotWritten, Severity: Warning, Stage: API,
		Title: Text{"changes are missing from the audit file", "审计文件缺少记录"},
		Explain: Text{
			"The audit file, which takes a line for each change that somebody makes, could not be opened or written. The changes are made all the same, and are in the broker's log if it has lines of the type notice.",
			"审计文件为每次更改记录一行，但无法打开或写入。更改仍会执行；日志记录 notice 类型时，日志中也有这些更改。",
		},
		Remedy: Text{
			"Make room on the disk, let the broker's user write to the file (`audit_file`), and reload: `picket ctl reload`. Each change tries the file again, too.",
			"清理磁盘，确认服务端的用户可以写该文件（`audit_file`），然后执行 `picket ctl reload`。此后每次更改也会重新尝试写入。",
		},
	},
	{
		ID: TokenMissing, Severity: Error, Stage: API,
		Title: Text{"the request has no token, and nobody is logged in", "请求没有携带令牌，也没有登录"},
		Explain: Text{
			"Over HTTP the API is for those who have a token, which stands in the header `Authorization: Bearer`. There is no password and no default token. In a browser, a login at the dashboard stands in for it.",
			"通过 HTTP 访问接口需要令牌，放在请求头 `Authorization: Bearer` 中。没有密码，也没有默认令牌。在浏览器中，登录管理页面后即可代替令牌。",
		},
		Remedy: Text{
			"On the broker's machine, `picket ctl token add` makes a token and prints it once; `picket ctl login` prints a link for a browser.",
			"在服务端所在的机器上，用 `picket ctl token add` 创建令牌（只显示一次）；用 `picket ctl login` 获得浏览器登录链接。",
		},
	},
	{
		ID: TokenRefused, Severity: Error, Stage: API,
		Title: Text{"the token is not valid", "令牌无效"},
		Explain: Text{
			"The broker does not know the token, it has been removed, or its time is over. Which of these it is, is not told.",
			"服务端不认识该令牌，或者它已被删除、已过期。具体是哪一种不会告知。",
		},
		Remedy: Text{
			"`picket ctl token list` shows the tokens and until when they are valid; `picket ctl token add` makes another.",
			"`picket ctl token list` 显示现有令牌及其有效期；`picket ctl token add` 创建新的。",
		},
	},
	{
		ID: TokenGuessed, Severity: Error, Stage: API,
		Title: Text{"too many wrong tokens or links came from this address", "该地址发来的错误令牌或链接过多"},
		Explain: Text{
			"After ten wrong tokens, links or logins of one address (IPv6: of one /64), and then one every six seconds, the next wrong ones are answered with how long to wait (`Retry-After`). Right ones are served as before, from that address, too.",
			"同一地址（IPv6 为同一 /64）最多可连续发来十个错误的令牌、链接或登录，此后每六秒一个；超出的会得到需要等待的时间（`Retry-After`）。正确的不受影响，即使来自同一地址。",
		},
		Remedy: Text{
			"Find the program that sends a token that is not valid any more; wait as long as `Retry-After` says.",
			"找出仍在使用失效令牌的程序；按 `Retry-After` 等待。",
		},
	},
	{
		ID: RoleMissing, Severity: Error, Stage: API,
		Title: Text{"the caller's role may not do this", "调用者的角色无权执行此操作"},
		Explain: Text{
			"A viewer may look at what is there, an operator may also read messages, disconnect, ban, publish and delete, an admin may also change users and rights and make backups; metrics may read /metrics only. The detail says which role is needed.",
			"viewer 只能查看；operator 还可以读取消息、断开、封禁、发布和删除；admin 还可以更改用户与权限、进行备份；metrics 只能读取 /metrics。detail 说明需要哪种角色。",
		},
		Remedy: Text{
			"Use a token or a login of that role: `picket ctl token add NAME --role operator`, `picket ctl login --role operator`.",
			"使用具有该角色的令牌或登录：`picket ctl token add 〈名称〉 --role operator`、`picket ctl login --role operator`。",
		},
	},
	{
		ID: APINotLocal, Severity: Error, Stage: API,
		Title: Text{"the API is for callers on the broker's machine", "接口只供服务端本机使用"},
		Explain: Text{
			"The listener speaks HTTP without encryption, and a token that comes over the network can be read on the way. So requests from other machines are refused unless the configuration says `api_access everyone`.",
			"该监听是未加密的 HTTP，令牌经过网络可能被窃取。因此来自其他机器的请求会被拒绝，除非配置中写有 `api_access everyone`。",
		},
		Remedy: Text{
			"Put a proxy with a certificate in front of it, on the same machine, or use an SSH tunnel. Remove a token that has been sent: `picket ctl token remove NAME`.",
			"在同一台机器上用带证书的反向代理转发，或使用 SSH 隧道。已经发送过的令牌请删除：`picket ctl token remove 〈名称〉`。",
		},
	},
	{
		ID: APIBusy, Severity: Warning, Stage: API,
		Title: Text{"the API has as many requests as it serves at once", "接口的并发请求已达上限"},
		Explain: Text{
			"32 requests are carried out at once, and beside them 16 streams, 8 of which may be traces. This one was not begun.",
			"最多同时执行 32 个请求；另外可以有 16 个持续的流，其中跟踪最多 8 个。该请求没有开始执行。",
		},
		Remedy: Text{
			"Try again in a second; have programs ask one thing after the other.",
			"过一秒再试；让程序逐个发出请求。",
		},
	},
	{
		ID: APICrossOrigin, Severity: Error, Stage: API,
		Title: Text{"a page of another site has made this request", "该请求由其他网站的页面发出"},
		Explain: Text{
			"A browser says that the page which makes the request is not the dashboard of this broker. So that no other page can act in the name of whoever is logged in here, it is not carried out.",
			"浏览器表明，发出请求的页面不是本服务端的管理页面。为防止其他页面冒用已登录者的身份，请求不会执行。",
		},
		Remedy: Text{
			"Use the dashboard at its own address; let programs send a token without the header `Origin`. A proxy in front of the broker has to pass `Host` and `Sec-Fetch-Site` on unchanged.",
			"通过管理页面自己的地址访问；程序请使用令牌，不要带 `Origin` 请求头。前面有代理时，代理须原样转发 `Host` 和 `Sec-Fetch-Site`。",
		},
	},
	{
		ID: LoginRefused, Severity: Error, Stage: API,
		Title: Text{"the login link is not valid any more", "登录链接已失效"},
		Explain: Text{
			"A link works once, and for a minute; a restart of the broker ends it, too. Which of these it is, or whether there never was such a link, is not told.",
			"链接只能使用一次，有效期一分钟；服务端重启后也会失效。具体是哪一种原因，或是否有过这个链接，不会告知。",
		},
		Remedy: Text{
			"On the broker's machine, `picket ctl login` prints another link.",
			"在服务端所在的机器上运行 `picket ctl login`，获得新的链接。",
		},
	},
	{
		ID: LoginEnded, Severity: Warning, Stage: API,
		Title: Text{"the login has ended", "登录已结束"},
		Explain: Text{
			"A login ends when nobody uses it for half an hour, after twelve hours in all, when somebody logs out, and with a restart of the broker.",
			"半小时无人操作、满十二小时、退出登录，或服务端重启后，登录都会结束。",
		},
		Remedy: Text{
			"On the broker's machine, `picket ctl login` prints a link that lets in again.",
			"在服务端所在的机器上运行 `picket ctl login`，用得到的链接重新登录。",
		},
	},
	{
		ID: LoginNeedsTLS, Severity: Error, Stage: API,
		Title: Text{"a login from another machine has to be encrypted", "从其他机器登录必须加密"},
		Explain: Text{
			"The listener speaks HTTP without encryption. Whoever can read along on the way could use the link or the cookie.",
			"该监听是未加密的 HTTP，链路上的窃听者可以盗用链接或 Cookie。",
		},
		Remedy: Text{
			"Use an SSH tunnel (`ssh -L 9883:127.0.0.1:9883 HOST`), or a proxy with a certificate on the broker's machine that sets `X-Forwarded-Proto: https`.",
			"使用 SSH 隧道（`ssh -L 9883:127.0.0.1:9883 〈主机〉`），或在服务端所在的机器上用带证书的代理转发，并设置 `X-Forwarded-Proto: https`。",
		},
	},
}
