package gather

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"picket/cause"
	"picket/doctor/host"
	"picket/mosqconf"
)

// peculiar are problems that mosquitto has with a configuration and its files, and Picket has not, or says otherwise.
func (g *gatherer) peculiar(files []string, root string, runs bool) (all []host.Problem) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // told by whoever reads the whole
		}
		file = strings.TrimPrefix(file, root)
		switch {
		case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
			all = append(all, host.Problem{File: file, Line: 1, Text: "the file begins with a byte order mark, as editors of Windows write it, which mosquitto takes for a part of the first word: save it as UTF-8 without one.", Chinese: "文件开头有字节序标记（BOM，Windows 编辑器会写入），mosquitto 会把它当作第一个词的一部分：请另存为不带 BOM 的 UTF-8。", Cause: cause.ConfigUnknownDirective})
		case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
			all = append(all, host.Problem{File: file, Line: 1, Text: "the file is written in UTF-16, which mosquitto does not read: save it as UTF-8.", Chinese: "文件是 UTF-16 编码，mosquitto 不能读取：请另存为 UTF-8。", Cause: cause.ConfigUnknownDirective})
		}
		all = append(all, g.lines(file, string(text), root, runs)...)
	}
	return all
}

// lines are the problems of single lines: users that do not exist, folders where files are meant, and what OpenSSL does not know. A broker that runs
// has found its files, wherever it was started.
func (g *gatherer) lines(file, text, root string, runs bool) (all []host.Problem) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		value = strings.TrimSpace(value)
		problem := func(id cause.ID, en, zh string) {
			all = append(all, host.Problem{File: file, Line: n, Text: fmt.Sprintf(en, value), Chinese: fmt.Sprintf(zh, value), Cause: id, Value: value})
		}
		switch word {
		case "user":
			var unknown user.UnknownUserError
			if _, err := user.Lookup(value); root == "" && errors.As(err, &unknown) {
				problem(cause.ConfigInvalidValue, "the user %s does not exist, and mosquitto ends when it should become that one.", "用户 %s 不存在，mosquitto 切换到该用户时会退出。")
			}
		case "tls_version", "bridge_tls_version":
			if !runs && !slices.Contains(tlsVersions, value) {
				problem(cause.ConfigInvalidValue, "mosquitto does not know %s, and ends over that: it takes tlsv1.2 or tlsv1.3.", "mosquitto 不认识 %s，会因此退出：请写 tlsv1.2 或 tlsv1.3。")
			}
		case "ciphers", "ciphers_tls1.3":
			if !runs && root == "" && g.unknownCiphers(word, value) {
				problem(cause.ConfigInvalidValue, "OpenSSL knows none of the cipher suites \"%s\", and mosquitto ends over that: leave the line out, or take HIGH.", "OpenSSL 不认识密码套件 \"%s\"，mosquitto 会因此退出：删去这一行，或写 HIGH。")
			}
		case "password_file", "acl_file", "psk_file", "crlfile", "cafile", "certfile", "keyfile", "plugin", "auth_plugin", "global_plugin", "plugin_load", "auth_opt_config_file", "plugin_opt_config_file":
			value = value[strings.LastIndexByte(value, ' ')+1:] // plugin_load has a name before the file
			if lost := relative(word, value, root); !runs && lost {
				problem(needed(word), "%s is not a whole path: mosquitto looks for it in the folder that it is started in, which is / for a service. Write the path from the / on.", "%s 不是完整路径：mosquitto 会在启动时所在的目录中寻找，作为服务启动时该目录是 /。请写成从 / 开始的完整路径。")
			}
			info, err := os.Stat(inside(root, value))
			if errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(value) && word != "certfile" { // a certificate's has a fact of its own
				problem(needed(word), "there is no file %s, and mosquitto ends without it.", "文件 %s 不存在，mosquitto 缺了它会退出。")
			}
			if err == nil && info.IsDir() {
				problem(cause.ConfigUnreadable, "%s is a folder, and should be a file. Docker makes a folder where the file of a mount (-v) is not there: remove it, and put the file in its place.", "%s 是目录，而这里应是文件。Docker 挂载（-v）时若源文件不存在，会建立同名目录：请删除它，再放入文件。")
			}
		}
	}
	return all
}

// tlsVersions are those that mosquitto 2 takes in a configuration.
var tlsVersions = []string{"tlsv1.1", "tlsv1.2", "tlsv1.3"}

// relative tells whether a file is named without the folder that it is in, so that a service does not find it. A plugin's may be in the system's own folders.
func relative(directive, file, root string) bool {
	if file == "" || filepath.IsAbs(file) || strings.Contains(directive, "plugin") && !strings.Contains(file, "/") {
		return false
	}
	_, err := os.Stat(inside(root, "/"+file))
	return errors.Is(err, fs.ErrNotExist)
}

// unknownCiphers asks OpenSSL whether it knows nothing of a list of cipher suites; without the program that is not known.
func (g *gatherer) unknownCiphers(directive, list string) bool {
	if list == "" || strings.HasPrefix(list, "-") {
		return false
	}
	args := []string{"ciphers", list}
	if directive != "ciphers" {
		args = []string{"ciphers", "-ciphersuites", list, "HIGH"}
	}
	_, err := g.Run(g.ctx, "openssl", args...)
	return err != nil && !errors.Is(err, errMissing) && g.ctx.Err() == nil
}

// needed is the cause of a file of a directive that is not there: the one that mosquitto's log has for it.
func needed(directive string) cause.ID {
	if slices.Contains([]string{"cafile", "crlfile", "keyfile", "certfile"}, directive) {
		return cause.KeyUnreadable
	}
	return cause.ConfigUnreadable
}

// securePorts are where brokers speak TLS.
var securePorts = []string{"8883", "8884", "8084"}

// plainBridges are those of a configuration that have no TLS, and call a port of TLS.
func plainBridges(config *mosqconf.Config) (all []string) {
	for _, b := range config.Bridges {
		for _, address := range b.Addresses {
			if _, port, err := net.SplitHostPort(address); err == nil && b.TLS == nil && slices.Contains(securePorts, port) {
				all = append(all, b.Name+" to "+address)
			}
		}
	}
	return all
}
