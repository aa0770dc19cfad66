package mosquitto

import "fmt"

// helpTexts is what --help of a client program says before and after the list of options.
var helpTexts = map[Program]struct{ does, usage, end string }{
	Pub: {"publishes a message, or several, and ends.", "-t TOPIC {-m TEXT | -f FILE | -s | -l | -n} [OPTIONS]", `
Exit status: 0 also when the broker refuses a message (there is a warning), the code of CONNACK when it refuses the client, 1 when the options
are wrong or there is no connection.

Examples:
  %[1]s -t home/garden/fountain/2 -m 'hello world'
  %[1]s -h broker.example -p 8883 --cafile ca.crt -u ada -P secret -t door -m open -q 1
  sensors | %[1]s -t home/sensors -l
  %[1]s -t heating -m 21.5 -r -D publish message-expiry-interval 3600
`},
	Sub: {"subscribes and prints the messages that come.", "-t FILTER [-t FILTER ...] [OPTIONS]", formatHelp + `
Exit status: 0 when it was ended or has seen enough, 27 after -W, the code of CONNACK when the broker refuses the client, 1 when the options
are wrong or there is no connection. A connection that is lost later is made again.

Examples:
  %[1]s -t 'home/#' -v
  %[1]s -t 'home/+/temperature' -C 1 -W 10
  %[1]s -t '#' -F '@H:@M:@S %%t %%p'
  %[1]s -t '#' --retained-only --remove-retained
`},
	RR: {"publishes a request, waits for the response and prints it. It speaks MQTT 5 unless -V says otherwise.", "-t TOPIC -e RESPONSE-TOPIC {-m TEXT | -f FILE | -s | -n} [OPTIONS]", formatHelp + `
Exit status: as for sub.

Examples:
  %[1]s -t lamp/kitchen/get -e lamp/answers -m state -W 5
  %[1]s -t calc -e calc/answer -m 6*7 -D publish correlation-data 1
`},
}

const formatHelp = `
Formats (-F): %%t topic  %%p payload  %%x %%X payload in hexadecimal  %%l its length  %%q QoS  %%r retained  %%m packet id  %%j all as JSON
  %%J the same with a payload that is JSON  %%I time  %%U time in seconds  @X strftime's conversion X  @N nanoseconds  @@ %%%% the characters
  MQTT 5: %%A topic alias  %%C content type  %%D correlation data  %%E expiry  %%F payload format  %%P user properties  %%R response topic
  %%S subscription id.  Between %% and the letter: - pad right, 0 pad with zeros, width, .precision.  Escapes: \0 \a \e \n \r \t \v \\
`

// printHelp shows how to use a client program.
func (i *Invocation) printHelp(r Program) {
	h := helpTexts[r]
	fmt.Fprintf(i.Stdout, "%s %s\n\nUsage: %[1]s %[3]s\n\nOptions, one a line also in the file $XDG_CONFIG_HOME/%[4]s (or $HOME/.config/%[4]s):\n\n", i.Name, h.does, h.usage, r)
	printOptions(i.Stdout, r)
	fmt.Fprintf(i.Stdout, h.end, i.Name)
}
