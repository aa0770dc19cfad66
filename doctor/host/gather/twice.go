package gather

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"picket/cause"
	"picket/doctor/host"
)

// makesDefault are words that have mosquitto open its default listener, on port 1883 unless port says another, when they stand before the first
// listener line: they are settings of that one (config__read of mosquitto 2.0).
var makesDefault = strings.Fields("bind_address port max_connections cafile capath certfile keyfile crlfile ciphers ciphers_tls1.3 psk_hint require_certificate tls_engine tls_version " +
	"use_identity_as_username use_subject_as_username use_username_as_clientid socket_domain http_dir")

// wanted is a port that a line asks for, and where it stands.
type wanted struct {
	address, port, file, word string
	line                      int
}

// twice are the ports that a configuration of mosquitto's asks for two times: it ends with "Address already in use" although no other program has it.
func twice(files []string, root string) (all []host.Problem) {
	ports := portsWanted(files)
	for i, p := range ports {
		first := slices.IndexFunc(ports[:i], func(o wanted) bool {
			return o.port == p.port && (o.address == p.address || o.address == "" || p.address == "")
		})
		if first < 0 {
			continue
		}
		o := ports[first]
		if o.word == "listener" && p.word != "listener" {
			o, p = p, o
		}
		text := fmt.Sprintf("port %s is asked for twice, the other time in %s:%d (%s): mosquitto ends with \"Address already in use\", although no other program has the port. Keep one listener line for it.", p.port, strings.TrimPrefix(o.file, root), o.line, o.word)
		zh := fmt.Sprintf("端口 %s 被要求了两次，另一次在 %s:%d（%s）：mosquitto 会以 \"Address already in use\" 退出，而端口并没有被别的程序占用。只保留一行 listener。", p.port, strings.TrimPrefix(o.file, root), o.line, o.word)
		if o.word != "listener" {
			zh = fmt.Sprintf("端口 %s 被要求了两次：%[3]s:%[4]d 的 %[2]s 写在第一行 listener 之前，因此会另外产生一个监听；mosquitto 会以 \"Address already in use\" 退出，而端口并没有被别的程序占用。把那一行移到本行之下。", p.port, o.word, strings.TrimPrefix(o.file, root), o.line)
			text = fmt.Sprintf("port %s is asked for twice: %s in %s:%d stands before the first listener line, and so makes a listener of its own; mosquitto ends with \"Address already in use\", although no other program has the port. Move that line below this one.", p.port, o.word, strings.TrimPrefix(o.file, root), o.line)
		}
		all = append(all, host.Problem{File: strings.TrimPrefix(p.file, root), Line: p.line, Text: text, Chinese: zh, Cause: cause.ConfigConflict})
	}
	return all
}

// portsWanted are the ports that the lines of a configuration ask for, with that of the default listener.
func portsWanted(files []string) (all []wanted) {
	standard := wanted{port: "1883"}
	listened, each := false, false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // told by whoever reads the whole
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			word, value := fields[0], fields[1]
			switch {
			case word == "listener":
				listened = true
				one := wanted{port: value, file: file, line: n, word: word}
				if len(fields) > 2 {
					one.address = fields[2]
				}
				if value != "0" { // a socket in the file system has no port
					all = append(all, one)
				}
			case listened || value == "false":
			case word == "per_listener_settings":
				each = true
			case slices.Contains(makesDefault, word), each && word == "password_file", word == "protocol" && value == "websockets":
				standard.file, standard.line, standard.word = file, n, word
			}
			if !listened && word == "port" {
				standard.port = value
			}
			if !listened && word == "bind_address" {
				standard.address = value
			}
		}
	}
	if standard.word != "" {
		all = append(all, standard)
	}
	return all
}
