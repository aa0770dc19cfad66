// Every text in English and Chinese.
export const texts = {
  // Everywhere
  dashboard: ['Dashboard', '管理页面'], menu: ['Menu', '菜单'], skip: ['To the content', '跳到内容'],
  light: ['Light', '浅色'], dark: ['Dark', '深色'], otherLang: ['中文', 'English'], keys: ['Keyboard', '键盘快捷键'], logout: ['Log out', '退出登录'],
  loading: ['Loading …', '加载中…'], cancel: ['Cancel', '取消'], close: ['Close', '关闭'], more: ['Show more', '显示更多'], search: ['Search', '搜索'], all: ['All', '全部'], yes: ['yes', '是'], no: ['no', '否'], forGood: ['for good', '长期有效'], none: ['none', '无'],
  done: ['Done.', '已完成。'], failed: ['That did not work', '操作没有成功'], remedy: ['What to do', '处理方法'], copy: ['Copy', '复制'], copied: ['Copied', '已复制'],
  unreachable: ['The broker does not answer. Trying again …', '服务端没有响应，正在重试…'],
  needsRole: ['This takes the role {role}; you are {mine}.', '需要 {role} 角色；你目前是 {mine}。'],
  seconds: ['{n} s', '{n} 秒'], minutes: ['{n} min', '{n} 分钟'], hours: ['{n} h {m} min', '{n} 小时 {m} 分钟'], days: ['{n} d {h} h', '{n} 天 {h} 小时'], ago: ['{time} ago', '{time}前'],
  viewer: ['viewer', '查看者（viewer）'], operator: ['operator', '操作员（operator）'], admin: ['admin', '管理员（admin）'], metrics: ['metrics', '仅指标（metrics）'],

  // Login
  loginTitle: ['Log in', '登录'], loginText: ['There is no password. On the broker’s machine, run this, and open the link that it prints:', '这里没有密码。请在服务端所在的机器上运行下面的命令，并打开它显示的链接：'],
  loginNote: ['The link works once, within a minute. For others, add --role viewer or --role operator.', '链接一分钟内有效，只能使用一次。给其他人使用时，可加上 --role viewer 或 --role operator。'],

  // Pages
  overview: ['Overview', '概览'], clients: ['Clients', '客户端'], client: ['Client', '客户端'], topics: ['Topics', '主题'], publish: ['Publish', '发布消息'], users: ['Users and rights', '用户与权限'], refused: ['Refused', '被拒绝的连接'],
  listeners: ['Listeners', '监听与证书'], bans: ['Bans', '封禁'], bridges: ['Bridges', '桥接'], tokens: ['Access', '访问管理'], broker: ['Maintenance', '维护'],

  // Overview
  allWell: ['All is well.', '一切正常。'], notWell: ['Something needs attention.', '有需要处理的问题。'],
  connected: ['Connected', '已连接'], sessions: ['Sessions', '会话'], away: ['{n} away', '{n} 个离线'], messagesIn: ['in', '接收'], messagesOut: ['out', '发送'], messages: ['Messages per second', '每秒消息数'], traffic: ['Bytes per second', '每秒字节数'],
  refusals: ['Refused and dropped per minute', '每分钟拒绝与丢弃'], queued: ['Queued', '排队消息'], subscriptions: ['Subscriptions', '订阅'], retained: ['Retained messages', '保留消息'], memory: ['Memory', '内存'], disk: ['Disk', '磁盘'],
  uptime: ['Running for', '已运行'], version: ['Version', '版本'], ofLimit: ['of {limit}', '上限 {limit}'], lastRefused: ['Refused lately', '最近被拒绝'], causesSince: ['Since the start, by cause', '启动以来，按原因统计'], cause: ['Cause', '原因'], count: ['Count', '次数'], noneRefused: ['Nothing has been refused.', '没有被拒绝的连接或操作。'],
  shortOf: ['The broker is short of {what}.', '服务端的{what}不足。'], cpu: ['processor time', '处理器时间'], descriptors: ['file descriptors', '文件描述符'], store: ['room in the store', '存储空间'],
  inMaintenance: ['The broker is closed for maintenance.', '服务端正在维护，不接受客户端。'], openAgain: ['Open it again under Maintenance.', '可在“维护”页面重新开放。'],
  certEnds: ['The certificate of {listener} ends in {n} days.', '{listener} 的证书将在 {n} 天后到期。'], certToday: ['The certificate of {listener} ends within a day.', '{listener} 的证书将在一天内到期。'], certEnded: ['The time of the certificate of {listener} is over.', '{listener} 的证书已过期。'], certBad: ['The certificate of {listener} cannot be read: {error}', '无法读取 {listener} 的证书：{error}'], certRemedy: ['Put a new certificate in its place and reload.', '更换证书文件，然后重新加载配置。'],
  backendDown: ['The back end {name} does not answer: {error}', '认证后端 {name} 没有应答：{error}'],
  bridgeDown: ['The bridge {name} is not connected.', '桥接 {name} 未连接。'], nobodyIn: ['Nobody can log in at {listener}: there is no user.', '{listener} 上没有任何用户可以登录。'], nobodyRemedy: ['Make a user under Users and rights.', '请在“用户与权限”页面创建用户。'],
  openToAll: ['{listener} lets everybody in, without a user.', '{listener} 允许任何人匿名连接。'], openRemedy: ['If that is not meant: allow_anonymous false, and users.', '若非有意，请设置 allow_anonymous false 并创建用户。'],
  justNow: ['happening now', '正在发生'],

  // Clients
  clientID: ['Client ID', '客户端标识'], user: ['User', '用户'], address: ['Address', '地址'], listener: ['Listener', '监听'], mqtt: ['MQTT', 'MQTT'], state: ['State', '状态'], online: ['connected', '在线'], offline: ['away', '离线'], waiting: ['Waiting', '等待'], idleFor: ['Last heard', '最近活动'], inflight: ['In flight', '传输中'],
  searchClients: ['Client ID begins with …', '客户端标识开头…'], byID: ['Client ID', '客户端标识'], byUser: ['User', '用户'], byAddress: ['Address or network', '地址或网段'], searchBy: ['Search by', '搜索方式'],
  viewConnected: ['Connected', '在线'], viewAll: ['All sessions', '所有会话'], viewBacklog: ['Largest backlog', '积压最多'], viewSilent: ['Silent longest', '静默最久'], viewSubs: ['Most subscriptions', '订阅最多'],
  noClients: ['No client fits.', '没有符合条件的客户端。'], noClientsYet: ['No client is connected.', '没有客户端连接。'], shown: ['{n} shown of {total} sessions', '共 {total} 个会话，显示 {n} 个'], lookedAt: ['{n} sessions looked at so far', '已查看 {n} 个会话'], lookFurther: ['Look further', '继续查找'],
  disconnect: ['Disconnect', '断开连接'], disconnectText: ['Ends the connection of {id}. Most clients are back at once, unless they are kept out.', '断开 {id} 的连接。大多数客户端会立即重连，除非同时禁止其连接。'], keepOut: ['Keep out', '禁止连接'], notKept: ['no', '不禁止'], tenMinutes: ['for 10 minutes', '10 分钟'], oneHour: ['for an hour', '1 小时'], oneDay: ['for a day', '1 天'], reason: ['Reason (told to MQTT 5 clients)', '原因（会告知 MQTT 5 客户端）'],
  alsoSession: ['End the session with all that waits in it, too', '同时删除会话及其中等待的消息'], endSession: ['End session', '删除会话'], endSessionText: ['Ends the session of {id} with {n} waiting messages and all its subscriptions.', '删除 {id} 的会话，包括 {n} 条等待的消息和全部订阅。'],
  banClient: ['Ban …', '封禁…'], transport: ['Transport', '传输方式'], encrypted: ['Encrypted', '加密'], keepAlive: ['Keep alive', '心跳间隔（Keep Alive）'], expiry: ['Session kept for', '会话保留时间'], will: ['Will', '遗嘱'], output: ['Not taken by its connection', '未发出的数据'], filter: ['Topic filter', '主题过滤器'], qos: ['QoS', 'QoS'], options: ['Options', '选项'], noSubs: ['It has subscribed to nothing.', '没有订阅。'], clientGone: ['There is no client of this name any more.', '该客户端已不存在。'], backToClients: ['All clients', '所有客户端'], offNow: ['off', '关闭'], withConnection: ['ends with the connection', '随连接结束'], forEver: ['for ever', '永久'],

  // One client
  trace: ['Live trace', '实时跟踪'], startTrace: ['Start', '开始'], stopTrace: ['Stop', '停止'], capture: ['30 s for Wireshark', '抓取 30 秒（Wireshark）'], traceText: ['Every packet of this client as it comes. Passwords are left out.', '实时显示该客户端的每个报文，不包含密码。'], traceWaits: ['Waiting for packets …', '等待报文…'],
  queue: ['Queue', '消息队列'], noQueue: ['Nothing waits for this client, and it has acknowledged everything.', '没有等待的消息，已发送的都已确认。'], number: ['No.', '序号'], stateQueued: ['waits', '等待'], stateSent: ['sent, not acknowledged', '已发送，未确认'], stateReleased: ['received, not completed', '已收到，未完成'], toStart: ['To the beginning', '回到开头'],
  subscribe: ['Subscribe', '订阅消息'], nothingCame: ['Nothing has come yet.', '还没有收到消息。'], lostHere: ['{n} messages are missing here', '此处缺少 {n} 条消息'],
  ratesIn: ['From it', '收到'], ratesOut: ['To it', '发出'], rates: ['{n} messages, {bytes} in a second', '每秒 {n} 条消息，{bytes}'],

  // Topics
  topicsText: ['Topics that have retained messages, level by level.', '有保留消息的主题，逐级显示。'], root: ['Top', '顶层'], level: ['Level', '层级'], below: ['Retained below', '下级保留消息数'], size: ['Size', '大小'], noTopics: ['There are no retained messages here.', '这里没有保留消息。'], noneBelow: ['There is nothing below.', '下面没有内容。'], emptyLevel: ['(empty level)', '（空层级）'],
  value: ['Retained message', '保留消息'], asText: ['Text', '文本'], asJSON: ['JSON', 'JSON'], asHex: ['Hex', '十六进制'], cut: ['Only the first {n} are shown.', '只显示前 {n}。'], from: ['From', '发布者'], expires: ['Expires in', '剩余有效期'], contentType: ['Content type', '内容类型'], properties: ['User properties', '用户属性'], setValue: ['Set', '设置'], deleteValue: ['Delete', '删除'], deleteTopicText: ['Deletes the retained message of {topic}. Subscribers are not told.', '删除 {topic} 的保留消息。订阅者不会收到通知。'],
  deleteBelow: ['Delete by filter …', '按过滤器删除…'], preview: ['Preview', '预览'], wouldDelete: ['{n} messages ({bytes}) would be deleted:', '将删除 {n} 条消息（{bytes}）：'], andMore: ['… and {n} more', '……以及另外 {n} 条'], typeCount: ['Type the number {n} to confirm', '输入数字 {n} 以确认'], deleteThem: ['Delete {n} messages', '删除 {n} 条消息'], nothingFits: ['No retained message fits.', '没有符合的保留消息。'], deleted: ['{n} deleted.', '已删除 {n} 条。'],

  // Publish
  topic: ['Topic', '主题'], payload: ['Payload', '内容'], retain: ['Retain', '保留'], asUser: ['With the rights of user (optional)', '以某用户的权限发布（可选）'], expireAfter: ['Expires after seconds (0: never)', '多少秒后过期（0：永不）'], published: ['Published: {topic}, {bytes}.', '已发布：{topic}，{bytes}。'], publishNote: ['Messages are published in nobody’s name unless a user is given. To watch a topic, use mosquitto_sub or the phone’s page.', '未指定用户时，消息不以任何用户的名义发布。要接收某主题的消息，可用 mosquitto_sub 或手机测试页面。'],

  // Users
  addUser: ['Add user', '添加用户'], name: ['Name', '名称'], password: ['Password', '密码'], passwordNote: ['Leave it empty to have one made.', '留空则自动生成。'], onlyClient: ['Only with this client ID (optional)', '只允许使用此客户端标识（可选）'], limited: ['May do nothing until something is allowed', '在授权之前没有任何权限'], madePassword: ['The password of {name} is shown this once:', '{name} 的密码只显示这一次：'],
  disabled: ['disabled', '已停用'], enabled: ['enabled', '已启用'], disable: ['Disable', '停用'], enable: ['Enable', '启用'], remove: ['Remove', '删除'], newPassword: ['New password', '新密码'], removeUserText: ['Removes {name} with its rules, and ends its connections.', '删除用户 {name} 及其规则，并断开其连接。'], disableUserText: ['{name} cannot log in any more, and its connections end.', '{name} 将无法登录，其连接会断开。'], rules: ['Rules', '规则'], noRules: ['It has no rules of its own.', '没有单独的规则。'], noUsers: ['There are no users in the file of users and rights.', '用户与权限文件中没有用户。'], roles: ['Roles', '角色'], groups: ['Groups', '组'],
  fileUsers: ['Users of password files', '密码文件中的用户'], fileUsersNote: ['They are changed with picket passwd.', '请用 picket passwd 修改。'], rightsFile: ['Users and rights are kept in {path}.', '用户与权限保存在 {path}。'], noRightsFile: ['This broker has no rights_file: users and rights cannot be changed while it runs.', '该服务端没有配置 rights_file，运行期间不能更改用户与权限。'],
  addRule: ['Add rule', '添加规则'], allow: ['allow', '允许'], deny: ['deny', '拒绝'], action: ['Action', '操作'], actions: ['Actions', '可用操作'], actPublish: ['publish', '发布'], actSubscribe: ['subscribe', '订阅'], actAll: ['publish and subscribe', '发布和订阅'], actReceive: ['receive', '接收'], decision: ['Decision', '结论'], ruleKind: ['About', '类型'],
  mayTitle: ['May a user do this?', '用户能否执行某操作？'], ask: ['Ask', '查询'], mayYes: ['Yes, allowed.', '允许。'], mayNo: ['No.', '不允许。'], byRule: ['Decided by: {rule}', '依据：{rule}'], unknownUser: ['No file of this broker has that user.', '该服务端没有这个用户。'], onlyThis: ['And nothing else: take away the rights of everybody', '除此之外都不允许'],

  // Refused
  refusedText: ['What clients have done wrong lately, by address: the last ten of each.', '客户端最近的错误，按地址列出，每个地址最多十条。'], when: ['When', '时间'], what: ['What', '内容'], noAttempts: ['Nothing has been refused lately.', '最近没有被拒绝的连接。'], banAddress: ['Ban address …', '封禁地址…'], port: ['Port', '端口'],

  // Listeners
  protocol: ['Protocol', '协议'], connections: ['Connections', '连接数'], anonymous: ['Without a user', '匿名'], anonymousTrue: ['everybody', '任何人'], anonymousLocal: ['this machine', '仅本机'], anonymousFalse: ['nobody', '不允许'], certificate: ['Certificate', '证书'], daysLeft: ['{n} days left', '剩余 {n} 天'], issuer: ['Issuer', '签发者'], validUntil: ['Valid until', '有效期至'], names: ['Names', '名称'], noCert: ['no certificate', '没有证书'], clientCerts: ['Asks for certificates of clients', '要求客户端证书'],

  // Bans
  addBan: ['Add ban', '添加封禁'], kind: ['Kind', '类型'], kindAddress: ['address or network', '地址或网段'], kindUser: ['user', '用户'], kindClient: ['client ID', '客户端标识'], kindPrefix: ['client IDs that begin so', '客户端标识前缀'], until: ['Until', '截止'], why: ['Why', '原因'], lift: ['Lift', '解除'], liftText: ['{value} may come again.', '{value} 将可以再次连接。'], noBans: ['Nobody is banned.', '没有封禁。'], hits: ['Refused', '拒绝次数'], itself: ['by rule', '自动'], force: ['Even if it is this machine or my own', '即使是本机也封禁'], banned: ['Banned. {n} connections were ended.', '已封禁，断开了 {n} 个连接。'], since: ['Since', '开始时间'],

  // Bridges
  noBridges: ['There are no bridges.', '没有桥接。'], remote: ['Remote', '远端'],

  // Cluster
  cluster: ['Cluster', '集群'], noCluster: ['This broker is no node of several: its configuration has no cluster_address.', '该服务端不是集群节点：配置中没有 cluster_address。'], thisNode: ['This node', '本节点'], otherNodes: ['Other nodes', '其他节点'], noNodes: ['There are no other nodes.', '没有其他节点。'],
  notJoined: ['has not joined its cluster', '尚未加入集群'], notLeased: ['acknowledges nothing of QoS 1 and 2: it has not shown in Redis lately that it lives', '不确认任何 QoS 1 和 2：最近没有在 Redis 中表明自己存活'], serves: ['serves clients', '接受客户端'], learns: ['lets no clients in before it knows what all others want', '在得知所有其他节点的订阅之前不接受客户端'], heldBack: ['publishers are held back', '暂停读取发布者'],
  nodeNumber: ['Number', '编号'], fencedAt: ['Taken for dead by the others', '曾被其他节点认定已死'], wantedFilters: ['Topic filters wanted', '需要的主题过滤器'], unsettled: ['Not settled', '未完成'], droppedQoS0: ['Dropped at QoS 0', 'QoS 0 丢弃'], answers: ['answers', '正常应答'], noAnswer: ['does not answer', '没有应答'], copies: ['What is acknowledged is on servers', '确认的内容所在服务器数'], masterOnly: ['the master alone', '仅主节点'],
  nodeDead: ['dead: messages for its subscribers wait for a node that takes over', '已死：发给其订阅者的消息等待其他节点接管'], linked: ['linked', '已连接'], unlinked: ['no link', '没有连接'], framesWait: ['Frames waiting', '等待的帧'], unseen: ['Subscriptions it has not seen', '尚未得知的订阅变化'],

  // Audit
  audit: ['Changes', '变更记录'], auditText: ['Who has changed what, or asked for what only an admin may have: the newest first.', '谁改了什么，或请求了只有管理员才能得到的内容，最新的在前。'], noAudit: ['Nothing has been changed yet.', '还没有任何变更。'], who: ['Who', '操作者'], request: ['Request', '请求'], result: ['Result', '结果'], refresh: ['Refresh', '刷新'],
  wasDone: ['done', '已完成'], wasBegun: ['begun', '已开始'], wasEnded: ['ended', '已结束'], wasNotDone: ['not done', '未完成'], wasDoneInPart: ['done in part', '部分完成'],

  // Access
  tokensTitle: ['Tokens of programs', '程序令牌'], addToken: ['Make token', '创建令牌'], role: ['Role', '角色'], validFor: ['Valid for', '有效期'], month: ['30 days', '30 天'], quarter: ['90 days', '90 天'], year: ['a year', '一年'], madeToken: ['The token {name} is shown this once:', '令牌 {name} 只显示这一次：'], noTokens: ['There are no tokens.', '没有令牌。'], removeTokenText: ['Programs that use {name} are refused from then on.', '此后使用 {name} 的程序都会被拒绝。'], made: ['Made', '创建时间'],
  loginsTitle: ['People who are logged in', '已登录的人'], endLogins: ['Log everybody out', '全部退出登录'], endLoginsText: ['Logs out everybody, you among them, and takes back links that have not been followed.', '所有人（包括你）都会退出登录，未使用的登录链接也会失效。'], lastUsed: ['Last used', '最近使用'],

  // Broker
  maintenanceTitle: ['Maintenance', '维护'], maintenanceText: ['Closes the broker to clients: those who are connected are told and sent away, new ones are refused.', '停止接受客户端：已连接的会收到通知并断开，新的连接会被拒绝。'], message: ['Message (told to MQTT 5 clients)', '说明（会告知 MQTT 5 客户端）'], grace: ['Send away within seconds', '在多少秒内断开'], exceptLocal: ['Clients on this machine may stay', '本机客户端不受影响'], begin: ['Begin maintenance', '开始维护'], beginText: ['{n} clients are sent away.', '{n} 个客户端将被断开。'], end: ['End maintenance', '结束维护'],
  reloadTitle: ['Configuration', '配置'], reloadText: ['Reads the configuration and the certificates again. If something is wrong with it, the old one stays in force.', '重新读取配置和证书。如果有错误，原配置继续生效。'], reload: ['Reload', '重新加载'], reloaded: ['The configuration is in force.', '新配置已生效。'],
  backupTitle: ['Backup', '备份'], backupText: ['Downloads sessions, messages, users and rights, bans and the configuration as one file, while the broker goes on. picket store restore makes a data directory of it.', '将会话、消息、用户与权限、封禁和配置打包下载，服务端照常运行。用 picket store restore 可恢复为数据目录。'], backup: ['Download backup', '下载备份'], withKeys: ['With private keys', '包含私钥'],

  // Keyboard
  keySearch: ['Search', '搜索'], keyGo: ['Go to', '前往'], keyEsc: ['Close, or leave a field', '关闭或离开输入框'], keyHelp: ['These keys', '显示快捷键'],
};
