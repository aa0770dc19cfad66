package phrases

// usages are what is wrong with a command line.
var usages = map[string]string{
	// Of any command.
	"unknown flag %s":                                 "没有选项 %s",
	"unknown flag %s, did you mean %s?":               "没有选项 %s，是不是想写 %s？",
	"unknown flag %s, did you mean one of %s?":        "没有选项 %s，是不是想写其中之一：%s？",
	"unexpected argument %s":                          "多余的参数 %s",
	"unexpected argument %s, did you mean %s?":        "没有 %s，是不是想写 %s？",
	"unexpected argument %s, did you mean one of %s?": "没有 %s，是不是想写其中之一：%s？",
	"expected %s":                          "缺少 %s",
	"expected one of %s":                   "缺少以下之一：%s",
	"missing flags: %s":                    "缺少选项：%s",
	"--%s and --%s can't be used together": "--%s 和 --%s 不能同时使用",
	"%s must be one of \"%s\" but got %q":  "%s 应为 \"%s\" 之一，而不是 %s",

	// Of single ones.
	"--ask-password needs a terminal; use --password-file or PICKET_PASSWORD":                                 "--ask-password 需要终端；请改用 --password-file 或 PICKET_PASSWORD",
	"--cert and --key belong together":                                                                        "--cert 和 --key 须同时使用",
	"--from: a port is a number from 1 to 65535":                                                              "--from：端口应为 1 至 65535",
	"--id and --topic have at most 65535 bytes":                                                               "--id 和 --topic 最多 65535 字节",
	"--keep-alive: expected 1 to 65535 seconds":                                                               "--keep-alive：应为 1 至 65535 秒",
	"--limit: expected 1s to 1h":                                                                              "--limit：应为 1s 至 1h",
	"--port and --back-port have to differ: a client on this machine would have the server connect to itself": "--port 和 --back-port 不能相同：否则本机的客户端会让服务连接到自己",
	"--size: expected 0 to 67108864 bytes":                                                                    "--size：应为 0 至 67108864 字节",
	"--timeout: expected 100ms to 1h":                                                                         "--timeout：应为 100ms 至 1h",
	"--token-file belongs to --from":                                                                          "--token-file 须与 --from 同用",
	"--topic: a topic to publish to has no wildcards (+, #)":                                                  "--topic：用于发布的主题不能含通配符（+、#）",
	"-n: a number of lines that is not negative is expected":                                                  "-n：行数不能是负数",
	"entrypoint: name the program to start":                                                                   "entrypoint：请写出要启动的程序",
	"expected an address to connect to":                                                                       "缺少要连接的地址",
	"the probe needs a token: --token-file FILE, or %s in the environment":                                    "探测需要令牌：--token-file 〈文件〉，或环境变量 %s",
	"%q is no action: it is one of %s":                                                                        "没有动作 %s：应为以下之一：%s",
	"%q is no address: write HOST, HOST:PORT or a URL such as mqtt://192.168.1.20:1883":                       "%s 不是地址：请写 〈主机〉、〈主机〉:〈端口〉 或 URL，例如 mqtt://192.168.1.20:1883",
	"%s is %d; a port is a number from 1 to 65535":                                                            "%s 是 %s；端口应为 1 至 65535",
	"%s:// is no scheme of a broker: want mqtt, mqtts, ws, wss, http or https":                                "%s:// 不是服务端的协议：应为 mqtt、mqtts、ws、wss、http 或 https",
	"--broker %q: expected NAME=COMMAND":                                                                      "--broker %s：应写成 NAME=COMMAND",
	"--config %q: expected NAME=LINES with the NAME of a --broker":                                            "--config %s：应写成 NAME=LINES，NAME 是某个 --broker 的名称",
	"--limit: a number from 1 to %d is expected":                                                              "--limit：应为 1 至 %s",
	"--only %q names no load; they are called %s":                                                             "--only %s：没有这样的负载，可用的有 %s",
	"%s has to be more than 0; for no limit, use a large value":                                               "%s 必须大于 0；不想限制时请写一个很大的数",
	"there is no stage %q":                                                                                    "没有阶段 %s",
}
