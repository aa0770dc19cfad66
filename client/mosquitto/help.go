package mosquitto

import (
	"fmt"

	"picket/cause"
)

// helpText is what --help of a client program says around the list of options.
type helpText struct {
	does     cause.Text
	usage    string
	formats  bool // it prints messages, so that the formats of output are explained
	status   cause.Text
	examples string
}

// helpTexts are those of the programs. %[1]s stands for the name that a program was called by.
var helpTexts = map[Program]helpText{
	Pub: {
		does:  cause.Text{EN: "publishes a message, or several, and ends.", ZH: "发布一条或多条消息，然后结束。"},
		usage: "-t TOPIC {-m TEXT | -f FILE | -s | -l | -n} [OPTIONS]",
		status: cause.Text{
			EN: `Exit status: 0 also when the broker refuses a message (there is a warning), the code of CONNACK when it refuses the client, 1 when the options
are wrong or there is no connection.`,
			ZH: `退出状态：服务端拒绝消息时也是 0（会有警告）；服务端拒绝客户端时为 CONNACK 的返回码；选项有误或连不上时为 1。`,
		},
		examples: `  %[1]s -t home/garden/fountain/2 -m 'hello world'
  %[1]s -h broker.example -p 8883 --cafile ca.crt -u ada -P secret -t door -m open -q 1
  sensors | %[1]s -t home/sensors -l
  %[1]s -t heating -m 21.5 -r -D publish message-expiry-interval 3600
`,
	},
	Sub: {
		does:    cause.Text{EN: "subscribes and prints the messages that come.", ZH: "订阅并输出收到的消息。"},
		usage:   "-t FILTER [-t FILTER ...] [OPTIONS]",
		formats: true,
		status: cause.Text{
			EN: `Exit status: 0 when it was ended or has seen enough, 27 after -W, the code of CONNACK when the broker refuses the client, 1 when the options
are wrong or there is no connection. A connection that is lost later is made again.`,
			ZH: `退出状态：被结束或已收够消息为 0；因 -W 到时为 27；服务端拒绝客户端时为 CONNACK 的返回码；选项有误或连不上时为 1。
之后连接断开时会自动重连。`,
		},
		examples: `  %[1]s -t 'home/#' -v
  %[1]s -t 'home/+/temperature' -C 1 -W 10
  %[1]s -t '#' -F '@H:@M:@S %%t %%p'
  %[1]s -t '#' --retained-only --remove-retained
`,
	},
	RR: {
		does: cause.Text{
			EN: "publishes a request, waits for the response and prints it. It speaks MQTT 5 unless -V says otherwise.",
			ZH: "发布请求，等待响应并输出。使用 MQTT 5，除非 -V 另有指定。",
		},
		usage:   "-t TOPIC -e RESPONSE-TOPIC {-m TEXT | -f FILE | -s | -n} [OPTIONS]",
		formats: true,
		status:  cause.Text{EN: `Exit status: as for sub.`, ZH: `退出状态：与 sub 相同。`},
		examples: `  %[1]s -t lamp/kitchen/get -e lamp/answers -m state -W 5
  %[1]s -t calc -e calc/answer -m 6*7 -D publish correlation-data 1
`,
	},
}

var (
	optionsTitle = cause.Text{
		EN: "Usage: %[1]s %[2]s\n\nOptions, one a line also in the file $XDG_CONFIG_HOME/%[3]s (or $HOME/.config/%[3]s):\n\n",
		ZH: "用法：%[1]s %[2]s\n\n选项（也可以每行一个写在文件 $XDG_CONFIG_HOME/%[3]s 或 $HOME/.config/%[3]s 中）：\n\n",
	}
	examplesTitle = cause.Text{EN: "Examples:", ZH: "示例："}
	formatHelp    = cause.Text{
		EN: `
Formats (-F): %t topic  %p payload  %x %X payload in hexadecimal  %l its length  %q QoS  %r retained  %m packet id  %j all as JSON
  %J the same with a payload that is JSON  %I time  %U time in seconds  @X strftime's conversion X  @N nanoseconds  @@ %% the characters
  MQTT 5: %A topic alias  %C content type  %D correlation data  %E expiry  %F payload format  %P user properties  %R response topic
  %S subscription id.  Between % and the letter: - pad right, 0 pad with zeros, width, .precision.  Escapes: \0 \a \e \n \r \t \v \\
`,
		ZH: `
格式（-F）：%t 主题  %p 载荷  %x %X 十六进制的载荷  %l 载荷长度  %q QoS  %r 保留标志  %m 报文标识符  %j 全部内容的 JSON
  %J 同上，载荷本身是 JSON  %I 时间  %U 以秒表示的时间  @X strftime 的转换符 X  @N 纳秒  @@ %% 这两个字符本身
  MQTT 5：%A 主题别名  %C 内容类型  %D 关联数据  %E 过期时间  %F 载荷格式  %P 用户属性  %R 响应主题
  %S 订阅标识符。% 与字母之间：- 左对齐，0 用零补齐，宽度，.精度。转义：\0 \a \e \n \r \t \v \\
`,
	}
)

// printHelp shows how to use a client program.
func (i *Invocation) printHelp(r Program) {
	h := helpTexts[r]
	fmt.Fprintf(i.Stdout, "%s %s\n\n", i.Name, h.does.In(i.Lang))
	fmt.Fprintf(i.Stdout, optionsTitle.In(i.Lang), i.Name, h.usage, r)
	i.printOptions(r)
	if h.formats {
		fmt.Fprint(i.Stdout, formatHelp.In(i.Lang))
	}
	fmt.Fprintf(i.Stdout, "\n%s\n\n%s\n", h.status.In(i.Lang), examplesTitle.In(i.Lang))
	fmt.Fprintf(i.Stdout, h.examples, i.Name)
}
