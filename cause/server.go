package cause

// serverCauses: the broker does not run, does not listen where it should, or its machine is at its limits.
var serverCauses = []Cause{
	{
		ID: BrokerNotRunning, Severity: Error, Stage: Server,
		Title: Text{"the broker is not running", "服务端没有运行"},
		Explain: Text{
			"Every port of the broker refuses within one round trip while the machine itself answers (SSH on 22). `ss -ltnp` shows nothing on 1883, 8883 or 9001. A service manager may call the unit running although it has no process.",
			"服务端的所有端口都在一个往返时间内被拒绝，而主机本身（如 22 端口的 SSH）有响应。`ss -ltnp` 在 1883、8883、9001 上什么都没有。有时服务管理器显示“运行中”，其实没有进程。",
		},
		Remedy: Text{
			"`picket serve`, or `sudo systemctl enable --now mosquitto`; the reason it ended is in `journalctl -u mosquitto -n 50`.",
			"运行 `picket serve`，或 `sudo systemctl enable --now mosquitto`；退出原因见 `journalctl -u mosquitto -n 50`。",
		},
		ConsequenceOf: []ID{ConfigErrorExit, KeyUnreadable, PortTaken, PrivilegedPort, BindBeforeNetwork, PersistenceCorrupt, StoreInUse, StoreNewer, MemoryLimitOOM, SELinuxDenied, AppArmorDenied},
	},
	{
		ID: LoopbackOnly, Severity: Error, Stage: Server,
		Title: Text{"the broker listens on its own machine only", "服务端只监听本机"},
		Explain: Text{
			"From outside the port is refused (it does not time out, as behind a firewall), on the machine itself it works. `ss -ltn` shows 127.0.0.1:{port} and [::1]:{port} only. That is mosquitto 2 without a `listener` line, and its log says local only mode.",
			"从外部连接被拒绝（不是防火墙那种超时），在本机则正常。`ss -ltn` 只有 127.0.0.1:{port} 和 [::1]:{port}。mosquitto 2 没有 `listener` 行时就是这样，日志里有 local only mode。",
		},
		Remedy: Text{
			"Write `listener {port}` and a `password_file` into the configuration and restart; mosquitto adds no listener on a reload. `picket serve` without a configuration listens for everyone and asks strangers for the password.",
			"在配置中加入 `listener {port}` 和 `password_file` 并重启；mosquitto 重载时不会新增监听。不带配置的 `picket serve` 会对外监听，并要求外部客户端输入密码。",
		},
		ConsequenceOf: []ID{ConfigNotLoaded, DockerDefaultConf},
	},
	{
		ID: OpenToEveryone, Severity: Warning, Stage: Server,
		Title: Text{"everyone who reaches the port may do everything", "任何人都能连接并读写所有消息"},
		Explain: Text{
			"The listener on {address} port {port} allows anonymous clients and has no access list, and it is reachable from beyond this machine. Strangers who find it can read and send every message; scanners find an open port within hours.",
			"{address} 端口 {port} 允许匿名且没有访问控制，并且从本机以外可以访问。发现它的陌生人可以读写所有消息；公网上的扫描器几小时内就会找到。",
		},
		Remedy: Text{
			"Set `allow_anonymous false` with a `password_file`, or bind the listener to 127.0.0.1 (`listener {port} 127.0.0.1`).",
			"设置 `allow_anonymous false` 和 `password_file`，或只监听本机（`listener {port} 127.0.0.1`）。",
		},
	},
	{
		ID: PageNotBuilt, Severity: Info, Stage: Server,
		Title: Text{"this build of Picket has no page for the phone", "此版本的 Picket 不含手机测试页"},
		Explain: Text{
			"The page is bundled from JavaScript when Picket is built, which needs node and npm; `go build` alone leaves it out. The broker itself lacks nothing.",
			"手机测试页在编译 Picket 时由 JavaScript 打包而成，需要 node 和 npm；只用 `go build` 编译时不包含它。服务端本身的功能不受影响。",
		},
		Remedy: Text{
			"Build with `make build` on a machine that has node and npm. Any MQTT app can be used instead of the page.",
			"在装有 node 和 npm 的机器上用 `make build` 编译。也可以不用测试页，直接用任意 MQTT 应用。",
		},
	},
	{
		ID: ConfigNotLoaded, Severity: Error, Stage: Server,
		Title: Text{"the configuration that was edited is not the one in use", "修改的配置没有生效"},
		Explain: Text{
			"Nothing changes after an edit: the broker runs without `-c`, `include_dir` is missing, another file is in use, or the broker was not restarted. The log says that the default configuration is used, or names the file.",
			"改完配置没有任何变化：服务端启动时没带 `-c`、缺少 `include_dir`、用的是另一个文件，或没有重启。日志会写明使用默认配置，或写出文件名。",
		},
		Remedy: Text{
			"Look at the command line (`ps -o args= -C picket`, or `-C mosquitto`), check the file with `picket check -c FILE`, and restart.",
			"查看启动命令（`ps -o args= -C picket` 或 `-C mosquitto`），用 `picket check -c 〈文件〉` 检查文件，然后重启。",
		},
	},
	{
		ID: ConfigErrorExit, Severity: Error, Stage: Server,
		Title: Text{"the broker ended because of an error in its configuration", "配置有误，服务端启动后退出"},
		Explain: Text{
			"After an edit or an upgrade every port refuses. The log says \"Error found at {file}:{line}\": an unknown word, a bad value, a value given twice (often `persistence_location`, `pid_file` or `log_dest` in the main file and in conf.d), a file that is missing.",
			"修改配置或升级之后所有端口都被拒绝。日志里有 \"Error found at {file}:{line}\"：未知的配置项、错误的值、重复的值（常见于主文件和 conf.d 里都写了 `persistence_location`、`pid_file` 或 `log_dest`）、文件缺失。",
		},
		Remedy: Text{
			"`picket check -c {file}` lists all problems at once, each with a hint. Correct the line and start again.",
			"`picket check -c {file}` 一次列出全部问题并给出提示。改正后重新启动。",
		},
		ConsequenceOf: []ID{ConfigUnreadable, ConfigUnknownDirective, ConfigInvalidValue, ConfigUnsupported, ConfigConflict},
	},
	{
		ID: ConfigRefused, Severity: Warning, Stage: Server,
		Title: Text{"the new configuration is wrong, the old one stays in force", "新配置有误，继续使用旧配置"},
		Explain: Text{
			"A reload was asked for and {file} has an error in line {line}. Nothing was changed and nobody disconnected.",
			"收到重载请求，但 {file} 第 {line} 行有误。没有做任何改动，也没有断开任何客户端。",
		},
		Remedy: Text{
			"Correct the file (`picket check -c {file}`) and reload again.",
			"改正文件（`picket check -c {file}`）后再次重载。",
		},
	},
	{
		ID: ConfigUnreadable, Severity: Error, Stage: Server,
		Title: Text{"a configuration file cannot be read", "配置文件无法读取"},
		Explain: Text{
			"{file}, or a file or folder that it includes, is missing or may not be read by the user that the broker runs as.",
			"{file}，或它包含的文件、目录不存在，或运行服务端的用户无权读取。",
		},
		Remedy: Text{
			"Correct the path, or the owner and the mode of the file.",
			"改正路径，或修改文件的属主和权限。",
		},
	},
	{
		ID: ConfigUnknownDirective, Severity: Error, Stage: Server,
		Title: Text{"a line of the configuration begins with an unknown word", "配置中有未知的配置项"},
		Explain: Text{
			"Line {line} of {file} is no directive of mosquitto.conf: a misspelling, or one of another version. The broker does not start with it, since something that was wanted would not be in force.",
			"{file} 第 {line} 行不是 mosquitto.conf 的配置项：可能拼写有误，或属于别的版本。因为想要的设置不会生效，所以服务端拒绝启动。",
		},
		Remedy: Text{
			"Correct or remove the line; `picket check -c {file}` suggests the nearest word.",
			"改正或删除该行；`picket check -c {file}` 会提示最接近的配置项。",
		},
	},
	{
		ID: ConfigInvalidValue, Severity: Error, Stage: Server,
		Title: Text{"a directive has a value that it cannot have", "配置项的值无效"},
		Explain: Text{
			"Line {line} of {file} has no value, a value outside of what is allowed, or repeats a directive that may stand there once.",
			"{file} 第 {line} 行缺少值、值超出允许范围，或重复了只能出现一次的配置项。",
		},
		Remedy: Text{
			"The message names what was expected. Correct the line and run `picket check -c {file}`.",
			"提示信息写明了应有的取值。改正后运行 `picket check -c {file}`。",
		},
	},
	{
		ID: ConfigUnsupported, Severity: Error, Stage: Server,
		Title: Text{"Picket does not have this part of mosquitto", "Picket 不支持 mosquitto 的这项功能"},
		Explain: Text{
			"Line {line} of {file} asks for something that exists in mosquitto and not here, such as compiled plugins or TLS with pre-shared keys. The broker does not start as if nothing were missing.",
			"{file} 第 {line} 行要求的功能 mosquitto 有而这里没有，例如编译的插件或预共享密钥的 TLS。服务端不会假装一切正常而启动。",
		},
		Remedy: Text{
			"Remove the line and use what the message suggests in its place.",
			"删除该行，改用提示信息中建议的办法。",
		},
	},
	{
		ID: ConfigConflict, Severity: Error, Stage: Server,
		Title: Text{"two directives do not go together", "两个配置项互相冲突"},
		Explain: Text{
			"Line {line} of {file} contradicts another line, or needs one that is not there, such as a key beside a certificate.",
			"{file} 第 {line} 行与另一行矛盾，或缺少它所依赖的配置项，例如有证书却没有私钥。",
		},
		Remedy: Text{
			"Keep one of the two, or add what is missing; the message names both.",
			"保留其中一个，或补上缺少的那个；提示信息里两者都有写明。",
		},
	},
	{
		ID: RightsNotSaved, Severity: Error, Stage: Server,
		Title: Text{"users and rights cannot be changed: their file cannot be written", "用户和权限的文件写不进去，无法修改"},
		Explain: Text{
			"A change of users or rights is in force only when it is on the disk. Writing {file} failed (its folder is not writable for the user who runs the broker, the disk is full, or another program has changed the file since it was read), so everything stays as it was. Whoever sent the command is told.",
			"对用户或权限的修改必须先写入磁盘才会生效。写 {file} 失败（运行服务端的用户对所在目录没有写权限、磁盘已满，或者文件读入之后被别的程序改过），因此一切保持原样，发命令的人会收到提示。",
		},
		Remedy: Text{
			"Give the folder of the file to the user who runs the broker (a new file is written beside the old one and then renamed), or make room on the disk. After a change by another program, a reload (SIGHUP) reads the file again.",
			"把文件所在目录的权限交给运行服务端的用户（新文件先写在旁边再改名），或者清理磁盘空间。如果是别的程序改了文件，重载（SIGHUP）会重新读取。",
		},
	},
	{
		ID: ConfigNoEffect, Severity: Warning, Stage: Server,
		Title: Text{"a directive changes nothing where it stands", "配置项在此处不起作用"},
		Explain: Text{
			"Line {line} of {file} is valid and has no effect, for example because the listener above it does not use it.",
			"{file} 第 {line} 行有效但不起作用，例如它所属的监听端口用不到它。",
		},
		Remedy: Text{
			"Move it below the listener that it is meant for, or remove it.",
			"把它移到对应的 listener 下面，或删除。",
		},
	},
	{
		ID: ConfigDeprecated, Severity: Info, Stage: Server,
		Title: Text{"a directive is going to disappear from mosquitto", "配置项即将被 mosquitto 废弃"},
		Explain: Text{
			"Line {line} of {file} is in force, but a later mosquitto will not know it any more.",
			"{file} 第 {line} 行目前有效，但以后的 mosquitto 将不再支持。",
		},
		Remedy: Text{
			"Use the directive that the message names in its place.",
			"改用提示信息中给出的配置项。",
		},
	},
	{
		ID: KeyUnreadable, Severity: Error, Stage: Server,
		Title: Text{"the broker cannot read its certificate or key", "服务端无法读取证书或私钥"},
		Explain: Text{
			"{file} belongs to another user, typically Let's Encrypt's files that only root may read: the TLS port stays closed, or the broker ends. mosquitto since 2.0 gives up root before it reads them.",
			"{file} 属于其他用户，典型情况是只有 root 能读的 Let's Encrypt 文件：TLS 端口打不开，或服务端直接退出。mosquitto 2.0 起先放弃 root 权限再读文件。",
		},
		Remedy: Text{
			"Copy them in a deploy hook: `install -o mosquitto -m 0640 /etc/letsencrypt/live/{host}/privkey.pem /etc/mosquitto/certs/`, the same for fullchain.pem, then reload. The owner is the user that the broker runs as.",
			"在 deploy hook 中复制：`install -o mosquitto -m 0640 /etc/letsencrypt/live/{host}/privkey.pem /etc/mosquitto/certs/`，fullchain.pem 同样处理，然后重载。属主应为运行服务端的用户。",
		},
	},
	{
		ID: FilePermissions, Severity: Warning, Stage: Server,
		Title: Text{"others can read a file with secrets", "含有机密的文件可被他人读取"},
		Explain: Text{
			"{file} holds passwords, keys or access rules, and every user of the machine can read it, or it belongs to someone other than the broker's user.",
			"{file} 中有密码、私钥或访问规则，而本机所有用户都能读取，或其属主不是运行服务端的用户。",
		},
		Remedy: Text{
			"`chmod 0600 {file}`, and `chown` it to the user that the broker runs as.",
			"执行 `chmod 0600 {file}`，并用 `chown` 改为运行服务端的用户。",
		},
	},
	{
		ID: PortTaken, Severity: Error, Stage: Server,
		Title: Text{"another program has the port", "端口被其他程序占用"},
		Explain: Text{
			"The log says \"Address already in use\" for port {port}: a second mosquitto, EMQX, Home Assistant's add-on or a container got there first. Clients connect, but to the wrong broker, with other users and other data.",
			"日志显示端口 {port} \"Address already in use\"：另一个 mosquitto、EMQX、Home Assistant 加载项或容器先占用了它。客户端能连上，但连的是别的服务，用户和数据都不同。",
		},
		Remedy: Text{
			"`sudo ss -ltnp 'sport = :{port}'` names the program; stop it (`sudo systemctl disable --now mosquitto`), or choose another port.",
			"`sudo ss -ltnp 'sport = :{port}'` 可查出是哪个程序；停掉它（`sudo systemctl disable --now mosquitto`），或换一个端口。",
		},
	},
	{
		ID: PrivilegedPort, Severity: Error, Stage: Server,
		Title: Text{"ports below 1024 need a permission", "监听 1024 以下端口需要权限"},
		Explain: Text{
			"The broker may not open port {port}: the log says \"Permission denied\". Only that port refuses.",
			"服务端无权打开端口 {port}：日志显示 \"Permission denied\"。只有该端口连不上。",
		},
		Remedy: Text{
			"`sudo setcap cap_net_bind_service=+ep $(command -v picket)`, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or `sysctl net.ipv4.ip_unprivileged_port_start={port}`.",
			"`sudo setcap cap_net_bind_service=+ep $(command -v picket)`，或在 systemd 单元中加 AmbientCapabilities=CAP_NET_BIND_SERVICE，或 `sysctl net.ipv4.ip_unprivileged_port_start={port}`。",
		},
	},
	{
		ID: BindBeforeNetwork, Severity: Error, Stage: Server,
		Title: Text{"the address to listen on does not exist yet", "启动时要监听的地址还不存在"},
		Explain: Text{
			"After a reboot the port refuses, and a restart by hand helps: the listener is bound to {address}, which the network had not set up when the broker began (\"Cannot assign requested address\").",
			"重启机器后端口被拒绝，手动重启服务就好：监听绑定在 {address} 上，而服务端启动时网络尚未就绪（\"Cannot assign requested address\"）。",
		},
		Remedy: Text{
			"Listen without an address, or let the unit wait (`After=network-online.target`, `Wants=network-online.target`), or set `net.ipv4.ip_nonlocal_bind=1`. If the address belongs to another machine, correct it.",
			"监听时不写地址；或让服务等待网络（`After=network-online.target`、`Wants=network-online.target`）；或设置 `net.ipv4.ip_nonlocal_bind=1`。如果地址属于别的机器，请改正。",
		},
	},
	{
		ID: PersistenceCorrupt, Severity: Error, Stage: Server,
		Title: Text{"the stored state is damaged", "持久化数据损坏"},
		Explain: Text{
			"A part of the stored sessions and messages cannot be read: a disk that forgets, a crash of the file system, a file that was cut off or changed. Picket starts all the same: it moves what can be read into a fresh store, leaves the damaged files in {file}, and logs what is lost. mosquitto ends as soon as it reads its file, and every port refuses.",
			"存储的会话和消息有一部分读不出来：磁盘出错、文件系统崩溃、文件被截断或改动。Picket 仍会启动：把能读的移入新的存储，损坏的文件留在 {file}，并在日志中写明丢了什么。mosquitto 一读取该文件就退出，所有端口都被拒绝。",
		},
		Remedy: Text{
			"Look at the disk first (`dmesg`, `smartctl -a`). `picket store verify DIR` checks a store; the damaged files can be removed when nobody misses anything. With mosquitto: stop it, move the file aside (`sudo mv {file} {file}.bad`) and start it.",
			"先检查磁盘（`dmesg`、`smartctl -a`）。`picket store verify 〈目录〉` 可检查存储；确认没有缺失后可删除损坏的文件。若是 mosquitto：停止服务，把文件移开（`sudo mv {file} {file}.bad`）再启动。",
		},
	},
	{
		ID: StoreFailed, Severity: Error, Stage: Server,
		Title: Text{"the store cannot be written", "存储无法写入"},
		Explain: Text{
			"Writing to {file} fails: a disk with errors, a network drive that is gone, a file system that has become read-only. Messages that would have to be stored are refused (0x83 in MQTT 5, no acknowledgement in 3.1.1); everything else goes on. Nothing that was acknowledged is lost. The broker tries again by itself, each minute at least.",
			"写入 {file} 失败：磁盘出错、网络盘断开、文件系统变成只读。需要存储的消息被拒绝（MQTT 5 为 0x83，3.1.1 不回确认），其他一切照常。已确认的不会丢失。服务端会自动重试，至少每分钟一次。",
		},
		Remedy: Text{
			"The log says what the system answered; `dmesg` often says why. When the disk is in order again, the broker goes on without a restart.",
			"日志里有系统给出的错误，原因常在 `dmesg` 中。磁盘恢复后服务端自动继续，无需重启。",
		},
	},
	{
		ID: StoreInUse, Severity: Error, Stage: Server,
		Title: Text{"another process has the store open", "存储正被另一个进程使用"},
		Explain: Text{
			"The store {file} belongs to one process at a time, and another one has it open: a second broker with the same `persistence_location`, or `picket store`.",
			"存储 {file} 同一时间只能由一个进程打开，而另一个进程正在使用它：相同 `persistence_location` 的第二个服务端，或 `picket store` 命令。",
		},
		Remedy: Text{
			"Stop the other process, or give each broker a `persistence_location` of its own. `picket store` works on a store whose broker is stopped.",
			"停止另一个进程，或给每个服务端各自的 `persistence_location`。`picket store` 只能用于已停止的服务端的存储。",
		},
	},
	{
		ID: StoreNewer, Severity: Error, Stage: Server,
		Title: Text{"the store was written by a newer version", "存储由更新的版本写入"},
		Explain: Text{
			"The store {file} has a format that this version does not know. It is left as it is.",
			"存储 {file} 的格式本版本不认识。文件保持原样。",
		},
		Remedy: Text{
			"Run the version that wrote it, or a later one; or give this one a directory of its own.",
			"使用写入它的版本或更新的版本；或为本版本另设目录。",
		},
	},
	{
		ID: StoreFileUnread, Severity: Warning, Stage: Server,
		Title: Text{"what mosquitto has stored is not read: there is a store already", "已有存储，没有读取 mosquitto 的数据文件"},
		Explain: Text{
			"{file} is a file of mosquitto's, and the store of an earlier Picket lies beside it. As a rule mosquitto has run in between, and the file is the newer of the two. The broker goes on with its store and changes nothing in the file.",
			"{file} 是 mosquitto 的数据文件，旁边还有 Picket 以前的存储。通常是两次运行 Picket 之间又运行过 mosquitto，这个文件才是较新的。服务端继续使用自己的存储，不改动这个文件。",
		},
		Remedy: Text{
			"To go on with what is in the file, stop the broker and move the store away, such as `mv mosquitto.store mosquitto.store.old`: the next start reads the file. To go on with the store, move the file away.",
			"要使用文件中的内容：停止服务端，把存储移走，例如 `mv mosquitto.store mosquitto.store.old`，下次启动就会读取该文件。要继续使用存储：把该文件移走。",
		},
	},
	{
		ID: ClusterUnreachable, Severity: Error, Stage: Server,
		Title: Text{"Redis cannot be reached", "连不上 Redis"},
		Explain: Text{
			"The broker keeps sessions and messages in Redis (`cluster` in the configuration), and gets no usable answer from {host}: nobody listens there, the sentinels name no master, or user and password are wrong. While the broker runs, what has to be stored waits 10 s and is refused then; QoS 0, and QoS 1 to clients that are connected and acknowledge, go on.",
			"服务端把会话和消息存放在 Redis（配置项 `cluster`）中，但从 {host} 得不到可用的应答：无人监听，哨兵没有给出主节点，或者用户名、密码不对。运行期间，需要存储的内容先等待 10 秒，之后被拒绝；QoS 0，以及发给在线且会确认的客户端的 QoS 1 不受影响。",
		},
		Remedy: Text{
			"Try the same address, user and password with `redis-cli -h HOST -p PORT --user USER --askpass PING`; behind sentinels with `redis-cli -p 26379 SENTINEL MASTERS`. The broker connects by itself when Redis is back.",
			"用 `redis-cli -h 〈主机〉 -p 〈端口〉 --user 〈用户〉 --askpass PING` 试同样的地址、用户和密码；有哨兵时用 `redis-cli -p 26379 SENTINEL MASTERS`。Redis 恢复后服务端会自动重连。",
		},
	},
	{
		ID: ClusterUnfit, Severity: Error, Stage: Server,
		Title: Text{"this Redis lacks what the broker needs", "这个 Redis 缺少服务端所需的功能"},
		Explain: Text{
			"The broker changes what it stores by functions, which came with Redis 7.0 and Valkey 7.2, and recognises a server by its replication id. The server at {host} is older, or hides the replication id, as some hosted services do.",
			"服务端通过函数（Redis 7.0、Valkey 7.2 起提供）修改存储内容，并用复制 ID 识别服务器。{host} 上的版本过旧，或像某些托管服务那样隐藏了复制 ID。",
		},
		Remedy: Text{
			"Use Redis 7.0 or later, or Valkey 7.2 or later; or keep sessions and messages on the broker's own disk (`persistence true` in place of `cluster`).",
			"改用 Redis 7.0 或更高版本，或 Valkey 7.2 或更高版本；也可以把会话和消息存到服务端自己的磁盘上（用 `persistence true` 代替 `cluster`）。",
		},
	},
	{
		ID: ClusterRights, Severity: Error, Stage: Server,
		Title: Text{"the Redis user may not do what the broker needs", "Redis 用户权限不足"},
		Explain: Text{
			"The user that `cluster` names is forbidden commands or keys that the store needs. The line names all of them.",
			"`cluster` 中的用户没有存储所需的某些命令或键的权限，日志里已全部列出。",
		},
		Remedy: Text{
			"Allow what the line names: `ACL SETUSER picket +COMMAND`, or everything on the keys of the broker: `ACL SETUSER picket on '>PASSWORD' '~*picket*' +@all -@admin +function|load +info +wait`; then `ACL SAVE`, on the replicas too.",
			"放行日志里列出的命令：`ACL SETUSER picket +〈命令〉`；或放行服务端自己键上的全部操作：`ACL SETUSER picket on '>〈密码〉' '~*picket*' +@all -@admin +function|load +info +wait`；然后执行 `ACL SAVE`，副本上也要做。",
		},
	},
	{
		ID: ClusterEviction, Severity: Error, Stage: Server,
		Title: Text{"Redis would throw away sessions and messages when its memory is full", "内存满时 Redis 会丢弃会话和消息"},
		Explain: Text{
			"`maxmemory-policy` is not `noeviction`: with a full memory Redis removes keys that it thinks are needed least, and with them what the broker has promised to keep.",
			"`maxmemory-policy` 不是 `noeviction`：内存满时 Redis 会删除它认为最不需要的键，服务端承诺保存的内容也会随之丢失。",
		},
		Remedy: Text{
			"`redis-cli CONFIG SET maxmemory-policy noeviction`, on every server of the group, and the same in redis.conf. When the memory is full then, the broker refuses what has to be stored (disk-full), and goes on when there is more.",
			"在组内每台服务器上执行 `redis-cli CONFIG SET maxmemory-policy noeviction`，并写入 redis.conf。此后内存满时，服务端会拒绝需要存储的内容（disk-full），有空间后自动恢复。",
		},
	},
	{
		ID: ClusterVolatile, Severity: Warning, Stage: Server,
		Title: Text{"Redis does not write to its disk", "Redis 没有写入磁盘"},
		Explain: Text{
			"`appendonly` is `no`: when Redis ends or its machine loses power, everything since its last snapshot is gone, whatever the broker has acknowledged, unless a replica has it and is promoted.",
			"`appendonly` 为 `no`：Redis 退出或断电后，上次快照之后的内容全部丢失，即使服务端已经确认过，除非某个副本有这些内容并被提升为主节点。",
		},
		Remedy: Text{
			"`redis-cli CONFIG SET appendonly yes` and `CONFIG REWRITE`, on the replicas too. `appendfsync everysec` keeps everything when Redis is killed, and all but the last second or two when the power goes; `always` keeps that too.",
			"在主节点和副本上执行 `redis-cli CONFIG SET appendonly yes` 和 `CONFIG REWRITE`。`appendfsync everysec` 在 Redis 被杀时不丢数据，断电时最多丢一两秒；`always` 断电也不丢。",
		},
	},
	{
		ID: ClusterNoReplica, Severity: Warning, Stage: Server,
		Title: Text{"Redis has too few replicas that keep up", "跟得上的 Redis 副本不足"},
		Explain: Text{
			"With `cluster_acknowledge auto` the broker goes on with the master alone: if that server is lost, what was acknowledged meanwhile is lost. With `replicas N` nothing that has to be stored is acknowledged until there are N.",
			"`cluster_acknowledge auto` 时服务端只依靠主节点继续工作：如果这台服务器损毁，期间确认过的内容会丢失。`replicas 〈数值〉` 时，凑齐 〈数值〉 个副本之前，需要存储的内容都不会被确认。",
		},
		Remedy: Text{
			"Look at `redis-cli INFO replication` on the master: how many replicas are online, and how far behind they are. Start those that are missing, or add one (`replicaof HOST PORT`).",
			"在主节点上查看 `redis-cli INFO replication`：有多少副本在线，落后多少。启动缺少的副本，或增加一个（`replicaof 〈主机〉 〈端口〉`）。",
		},
	},
	{
		ID: ClusterReplica, Severity: Error, Stage: Server,
		Title: Text{"the server is a replica, not the master", "给出的服务器是副本，不是主节点"},
		Explain: Text{
			"A replica takes no writes. With the address of one server, that server has to be the master; it may have been one until a failover.",
			"副本不接受写入。只写一台服务器的地址时，它必须是主节点；它也可能在故障转移之前是主节点。",
		},
		Remedy: Text{
			"Give the sentinels in place of the server, so that the broker follows a failover: `cluster redis://SENTINEL1,SENTINEL2,SENTINEL3/NAME`; or the master's address.",
			"改写为哨兵的地址，服务端就能跟随故障转移：`cluster redis://〈哨兵1〉,〈哨兵2〉,〈哨兵3〉/〈名称〉`；或者写主节点的地址。",
		},
	},
	{
		ID: ClusterTaken, Severity: Error, Stage: Server,
		Title: Text{"another broker, or somebody else, uses the same keys in Redis", "Redis 中的键已被其他服务端或程序使用"},
		Explain: Text{
			"What lies in Redis under one prefix belongs to one broker at a time. Another one is alive and uses it, has taken it over while this one stood still, or the keys are of some other program. Several brokers that share one Redis come with a later version.",
			"Redis 中同一前缀下的数据同一时间只属于一个服务端。现在另一个服务端正在使用它，或在本服务端停顿时接管了它，或者这些键属于别的程序。多个服务端共用一个 Redis 将在以后的版本中支持。",
		},
		Remedy: Text{
			"Stop the other broker, or give this one keys of its own: `cluster redis://HOST:PORT?prefix=NAME`.",
			"停止另一个服务端，或给本服务端单独的键：`cluster redis://〈主机〉:〈端口〉?prefix=〈名称〉`。",
		},
	},
	{
		ID: ClusterLost, Severity: Error, Stage: Server,
		Title: Text{"Redis has lost what the broker had stored", "Redis 丢失了服务端存储的内容"},
		Explain: Text{
			"Redis has been emptied, or has come back with data that are older than the last ten seconds, which the broker keeps and writes again by itself. What was acknowledged is not there any more. So that nothing is mixed up, the broker stores nothing until it is started again; QoS 0 goes on.",
			"Redis 被清空，或恢复后的数据比最近十秒更旧（最近十秒的内容服务端自己留有，会自动补写）。已确认的内容不在了。为避免混乱，服务端在重新启动之前不再存储任何内容；QoS 0 不受影响。",
		},
		Remedy: Text{
			"Stop the broker, give Redis its newest data back (the append-only file, an RDB file, or the replica that has most), and start the broker. Started without that, it goes on with what Redis has.",
			"先停止服务端，把最新的数据还给 Redis（AOF 文件、RDB 文件，或数据最全的副本），再启动服务端。不这样做就启动，服务端会以 Redis 现有的内容继续。",
		},
	},
	{
		ID: ClusterFenced, Severity: Error, Stage: Server,
		Title: Text{"the other nodes of the cluster have taken this one for dead", "集群的其他节点已判定本节点失效"},
		Explain: Text{
			"A node shows twice a second in Redis that it lives. This one did not for three seconds: it stood still, was suspended, or could not reach Redis. The others go on without it, so nothing that it would acknowledge could be relied on. It disconnects its clients, which may go to any node, and joins again.",
			"每个节点每秒两次在 Redis 中表明自己存活。本节点三秒没有做到：进程停顿、机器挂起，或连不上 Redis。其他节点已在没有它的情况下继续运行，它的确认不再可靠。因此它断开所有客户端（客户端可以连接任何节点），然后重新加入。",
		},
		Remedy: Text{
			"Look at this machine's processor, memory and clock, and at its way to Redis, at the time of the line.",
			"查看该时刻本机的处理器、内存、时钟，以及到 Redis 的网络。",
		},
	},
	{
		ID: ClusterLinkDown, Severity: Warning, Stage: Server,
		Title: Text{"there is no link to another node of the cluster", "与集群中另一节点之间没有连接"},
		Explain: Text{
			"Nodes send messages to each other directly, by the address that each has as cluster_address. Without that link, QoS 1 and 2 go through Redis, more slowly, and QoS 0 is dropped. It is tried again every second.",
			"节点之间按各自的 cluster_address 直接传送消息。没有这条连接时，QoS 1 和 2 经由 Redis，较慢；QoS 0 被丢弃。每秒重试一次。",
		},
		Remedy: Text{
			"From this machine, try the other one's cluster_address: its port has to be open for the nodes, in both directions.",
			"在本机上尝试连接对方的 cluster_address：节点之间双向都要能访问该端口。",
		},
	},
	{
		ID: ClusterLinkFull, Severity: Warning, Stage: Server,
		Title: Text{"a message of QoS 0 could not go to another node", "一条 QoS 0 消息无法送往另一节点"},
		Explain: Text{
			"There is no link to the node, or 8 MiB wait to be written to it already. A message of QoS 0 is dropped then, for the subscribers on that node; others get it.",
			"与该节点没有连接，或已有 8 MiB 等待写给它。这时 QoS 0 消息对该节点上的订阅者被丢弃；其他订阅者照常收到。",
		},
		Remedy: Text{
			"Look at the network between the nodes and at the other one's load, or publish with QoS 1.",
			"查看节点之间的网络和对方的负载，或使用 QoS 1 发布。",
		},
	},
	{
		ID: ClusterPeerUnknown, Severity: Warning, Stage: Server,
		Title: Text{"whoever is at the other end of a link is not the node that Redis names", "连接另一端不是 Redis 中登记的节点"},
		Explain: Text{
			"Each node makes a key when it starts, and its fingerprint stands in Redis. The other end has shown another one: it is of a cluster with another prefix or another Redis, it has been started anew this moment, or something stands in between. Nothing was read from it or sent to it.",
			"每个节点启动时生成密钥，其指纹登记在 Redis 中。另一端出示的是别的密钥：它属于另一个前缀或另一个 Redis 的集群，或刚刚重新启动，或中间有别的设备。没有读取它的内容，也没有向它发送内容。",
		},
		Remedy: Text{
			"If it does not pass within seconds: see who has the address that stands in the line, and that all nodes have the same `cluster`. Open the port of cluster_address for the nodes only.",
			"若几秒后仍未消失：查看日志中该地址属于谁，并确认所有节点的 `cluster` 相同。cluster_address 的端口只应对各节点开放。",
		},
	},
	{
		ID: ClusterVersion, Severity: Error, Stage: Server,
		Title: Text{"two nodes of the cluster are of versions that do not understand each other", "集群中两个节点的版本互不兼容"},
		Explain: Text{
			"What nodes say to one another has a version, and each release understands the one before its own. These two are further apart.",
			"节点之间的通信有版本，每个发行版都能理解前一版。这两个节点相差更远。",
		},
		Remedy: Text{
			"Bring the older node to a newer release, one release at a time.",
			"把较旧的节点逐个版本升级。",
		},
	},
	{
		ID: DiskFull, Severity: Error, Stage: Server,
		Title: Text{"the disk is full", "磁盘已满"},
		Explain: Text{
			"Less than {limit} bytes are free where the store {file} lies. Messages that would have to be stored, and new sessions, are refused (0x97 in MQTT 5, no acknowledgement in 3.1.1); clients that take what waits for them make room. Nothing that was acknowledged is lost.",
			"存储 {file} 所在的磁盘剩余不足 {limit} 字节。需要存储的消息和新会话被拒绝（MQTT 5 为 0x97，3.1.1 不回确认）；客户端取走排队的消息会腾出空间。已确认的不会丢失。",
		},
		Remedy: Text{
			"Make room (`df -h`, `du -xh / | sort -h | tail`); the broker notices by itself. Let messages and sessions of clients that never return expire (`persistent_client_expiration`, `max_queued_messages`).",
			"清理磁盘（`df -h`、`du -xh / | sort -h | tail`），服务端会自动恢复。让不再回来的客户端的消息和会话过期（`persistent_client_expiration`、`max_queued_messages`）。",
		},
	},
	{
		ID: DockerPortNotPublished, Severity: Error, Stage: Server,
		Title: Text{"the container's port is not published", "容器端口没有映射"},
		Explain: Text{
			"From outside the port is refused, inside the container it works. `docker ps` shows no 0.0.0.0:{port}->, or one that begins with 127.0.0.1.",
			"从外部被拒绝，容器内部正常。`docker ps` 里没有 0.0.0.0:{port}->，或以 127.0.0.1 开头。",
		},
		Remedy: Text{
			"`docker run -p {port}:{port} …`, in a compose file `ports: [\"{port}:{port}\"]`.",
			"`docker run -p {port}:{port} …`，compose 文件中写 `ports: [\"{port}:{port}\"]`。",
		},
	},
	{
		ID: DockerDefaultConf, Severity: Error, Stage: Server,
		Title: Text{"the container runs with its default configuration", "容器仍在用默认配置"},
		Explain: Text{
			"On the container's host the connection opens and is lost right after CONNECT: Docker's proxy accepts it, the broker inside listens on 127.0.0.1 only. Mounting `-v mosquitto.conf:…` without a path makes an empty volume of that name.",
			"在宿主机上能连上，但 CONNECT 之后立刻断开：连接由 docker-proxy 接受，而容器内的服务端只监听 127.0.0.1。`-v mosquitto.conf:…` 若不写路径，会变成一个同名空卷。",
		},
		Remedy: Text{
			"Mount the file by its full path, `-v $PWD/mosquitto.conf:/mosquitto/config/mosquitto.conf:ro`, with `listener {port}` in it.",
			"用完整路径挂载：`-v $PWD/mosquitto.conf:/mosquitto/config/mosquitto.conf:ro`，并在其中写 `listener {port}`。",
		},
	},
	{
		ID: SELinuxDenied, Severity: Error, Stage: Server,
		Title: Text{"SELinux forbids it", "被 SELinux 拦截"},
		Explain: Text{
			"On RHEL and its relatives the port refuses, or nginx answers 502, although permissions look right. `getenforce` says Enforcing and `sudo ausearch -m avc -ts recent` shows the denial.",
			"在 RHEL 系发行版上，权限看起来没问题，端口却被拒绝，或 nginx 返回 502。`getenforce` 为 Enforcing，`sudo ausearch -m avc -ts recent` 能看到拒绝记录。",
		},
		Remedy: Text{
			"`sudo restorecon -Rv /etc/mosquitto /var/lib/mosquitto`; for another port `sudo semanage port -a -t TYPE -p tcp {port}` (`sudo semanage port -l` names the TYPE that 1883 has); for nginx `sudo setsebool -P httpd_can_network_connect 1`.",
			"`sudo restorecon -Rv /etc/mosquitto /var/lib/mosquitto`；其他端口用 `sudo semanage port -a -t 〈类型〉 -p tcp {port}`（1883 的 〈类型〉 见 `sudo semanage port -l`）；nginx 用 `sudo setsebool -P httpd_can_network_connect 1`。",
		},
	},
	{
		ID: AppArmorDenied, Severity: Error, Stage: Server,
		Title: Text{"AppArmor forbids it", "被 AppArmor 拦截"},
		Explain: Text{
			"On Ubuntu, SUSE and in snaps the broker cannot read a file or open a port although the permissions look right: its AppArmor profile does not allow it. `sudo dmesg | grep DENIED` names the profile, the operation and the file.",
			"在 Ubuntu、SUSE 或 snap 中，权限看起来没问题，服务端却读不了文件或打不开端口：它的 AppArmor 配置文件不允许。`sudo dmesg | grep DENIED` 会写明配置文件、操作和路径。",
		},
		Remedy: Text{
			"Allow it in the profile's local part (`/etc/apparmor.d/local/usr.sbin.mosquitto`, a line such as `/etc/letsencrypt/** r,`) and `sudo apparmor_parser -r /etc/apparmor.d/usr.sbin.mosquitto`; or move the file to where the profile allows it. A snap reads its own folders only (`/var/snap/mosquitto/common`).",
			"在该配置的 local 部分放行（`/etc/apparmor.d/local/usr.sbin.mosquitto` 中加一行，如 `/etc/letsencrypt/** r,`），然后 `sudo apparmor_parser -r /etc/apparmor.d/usr.sbin.mosquitto`；或把文件移到允许的位置。snap 只能读自己的目录（`/var/snap/mosquitto/common`）。",
		},
	},
	{
		ID: MemoryLimit, Severity: Error, Stage: Server,
		Title: Text{"the broker has reached its memory limit", "服务端内存达到上限"},
		Explain: Text{
			"`memory_limit` ({limit} bytes) is reached. To stay alive the broker refuses what would need more: new connections, and messages that would have to be queued.",
			"已达到 `memory_limit`（{limit} 字节）。为了继续运行，服务端拒绝需要更多内存的操作：新连接和需要排队的消息。",
		},
		Remedy: Text{
			"Find who makes it grow: clients that do not read, sessions of clients that never return, many retained messages. Lower the queue limits, or raise `memory_limit`.",
			"找出增长来源：不读数据的客户端、不再回来的会话、大量保留消息。调低队列上限，或调高 `memory_limit`。",
		},
		ConsequenceOf: []ID{QueueFull, QueueBytesFull, OutputFull},
	},
	{
		ID: MemoryLimitOOM, Severity: Error, Stage: Server,
		Title: Text{"the system killed the broker for lack of memory", "内存耗尽，服务端被系统杀死"},
		Explain: Text{
			"All clients drop together, are refused for a moment and come back. `journalctl -k | grep -i oom` names the broker at that time, and its restart count grows.",
			"所有客户端同时掉线，短时间被拒绝后又恢复。`journalctl -k | grep -i oom` 在该时刻记录了服务端进程，重启次数增加。",
		},
		Remedy: Text{
			"Bound the queues (`max_queued_messages`, `max_queued_bytes`) and the memory (`memory_limit`), and look for slow subscribers.",
			"限制队列（`max_queued_messages`、`max_queued_bytes`）和内存（`memory_limit`），并查找缓慢的订阅者。",
		},
	},
	{
		ID: Overloaded, Severity: Warning, Stage: Server,
		Title: Text{"the broker has more to do than it can", "服务端过载"},
		Explain: Text{
			"The broker measures itself, and something is short: the processor (event loops are more than a second late, or passwords wait five seconds to be checked), the memory (nine tenths of `memory_limit` or of the machine's are in use), or the files that it may open. The log says which, and so do `picket ctl status` and the topics below `$SYS/broker/picket`. While processor or memory are short, new clients from other machines are refused with return code 3, in MQTT 5 0x89 with what is short in the reason; they may come back soon.",
			"服务端自我测量，发现资源不足：处理器（事件循环延迟一秒以上，或密码校验要等五秒）、内存（`memory_limit` 或整机内存已用九成），或可打开的文件数。具体缺什么写在日志、`picket ctl status` 和 `$SYS/broker/picket` 下的主题里。处理器或内存不足期间，来自其他机器的新客户端会被返回码 3 拒绝（MQTT 5 为 0x89，原因中写明缺什么），稍后可以重试。",
		},
		Remedy: Text{
			"Let clients wait longer between attempts, with some chance in it; look for one that connects again and again with a wrong password, or that publishes without a pause. If it stays, the machine is too small.",
			"让客户端加大重连间隔并加随机；查找是否有客户端反复用错误密码连接，或不停地发布。如果一直如此，说明机器太小。",
		},
	},
	{
		ID: OverloadOrStorm, Severity: Warning, Stage: Server,
		Title: Text{"too many clients reconnect at the same time", "重连风暴"},
		Explain: Text{
			"After an outage everyone comes back at once: connects are slow or time out and it gets better in waves. One core is at 100 %, the kernel speaks of SYN flooding, `nstat -az TcpExtListenDrops` counts up.",
			"故障之后所有客户端同时涌回：连接缓慢或超时，一阵一阵恢复。一个核心占满，内核提示 SYN flooding，`nstat -az TcpExtListenDrops` 持续增长。",
		},
		Remedy: Text{
			"Clients: back off with chance. Server: `net.core.somaxconn=4096`, `net.ipv4.tcp_max_syn_backlog=8192`, TLS session tickets, more cores.",
			"客户端：退避重连并加随机。服务端：`net.core.somaxconn=4096`、`net.ipv4.tcp_max_syn_backlog=8192`、TLS 会话票据、更多核心。",
		},
	},
	{
		ID: ConntrackFull, Severity: Error, Stage: Server,
		Title: Text{"the kernel's table of connections is full", "内核连接跟踪表已满"},
		Explain: Text{
			"Connections to any port time out at random, pings are lost too, and dmesg says \"nf_conntrack: table full, dropping packet\".",
			"任意端口都会随机超时，ping 也丢包，dmesg 显示 \"nf_conntrack: table full, dropping packet\"。",
		},
		Remedy: Text{
			"`sudo sysctl -w net.netfilter.nf_conntrack_max=1048576`, and into /etc/sysctl.d for good.",
			"`sudo sysctl -w net.netfilter.nf_conntrack_max=1048576`，并写入 /etc/sysctl.d 永久生效。",
		},
	},
	{
		ID: LogLinesLost, Severity: Warning, Stage: Server,
		Title: Text{"lines are missing from the log", "日志有缺失"},
		Explain: Text{
			"A destination of the log could not be written to (disk full), or took lines more slowly than they came (a terminal that is stopped, a pipe nobody reads), and the broker did not wait for it.",
			"日志的某个目的地写不进去（磁盘满），或读取太慢（终端被暂停、管道没人读），而服务端不会为它停下。",
		},
		Remedy: Text{
			"Make room on the disk, or let whatever reads the log go on; log fewer types (`log_type`).",
			"清理磁盘，或让读取日志的程序继续；减少日志类型（`log_type`）。",
		},
	},
	{
		ID: Unexplained, Severity: Error, Stage: Server,
		Title: Text{"something is wrong here, and what was seen does not tell why", "确实有异常，但现有迹象不足以判断原因"},
		Explain: Text{
			"What is marked with ✗ should not be so, and none of the causes that the doctor knows explains it. That is no proof that clients are kept away, and none that they are not.",
			"标有 ✗ 的结果不应该出现，而诊断工具已知的原因都无法解释它。这不能证明客户端一定连不上，也不能说明一切正常。",
		},
		Remedy: Text{
			"Run the same command once more, and from another network; on the broker's machine run `sudo picket doctor --server`, and look at the broker's log at the time of the test. If it stays, the output with `--json` is what somebody who helps needs to see.",
			"把同样的命令再运行一次，并换一个网络再试；在服务端所在的机器上运行 `sudo picket doctor --server`，并查看测试时刻的服务端日志。如果问题依旧，请把带 `--json` 的输出交给协助排查的人。",
		},
	},
}
