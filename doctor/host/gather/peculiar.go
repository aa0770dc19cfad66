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
func (g *gatherer) peculiar(files []string, root string) (all []host.Problem) {
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
		all = append(all, g.lines(file, string(text), root)...)
	}
	return all
}

// lines are the problems of single lines: users that do not exist, and folders where files are meant.
func (g *gatherer) lines(file, text, root string) (all []host.Problem) {
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
		case "password_file", "acl_file", "psk_file", "crlfile", "cafile", "certfile", "keyfile":
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

// needed is the cause of a file of a directive that is not there: the one that mosquitto's log has for it.
func needed(directive string) cause.ID {
	if directive == "cafile" || directive == "crlfile" || directive == "keyfile" {
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
