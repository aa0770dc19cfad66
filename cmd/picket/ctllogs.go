package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"picket/admin"
	"picket/cause"
)

// ctlLogs is "picket ctl logs".
type ctlLogs struct {
	Lines  int  `short:"n" default:"50" help:"How many lines." zh:"显示多少行。"`
	Follow bool `short:"f" help:"Go on with what is written from now on, until interrupted." zh:"持续输出新写入的日志，直到被中断。"`
	adminFlags
}

func (ctlLogs) details() details {
	return details{
		Text: cause.Text{EN: `Where the log goes to a file, its end is read; where it goes to systemd's journal, journalctl is asked. A log that goes anywhere else
(a terminal, a container's output, syslog) is not kept by the broker: the answer says where to look.`, ZH: `日志写入文件时，读取文件末尾；写入 systemd 的 journal 时，调用 journalctl。写到其他地方的日志（终端、容器的输出、syslog）服务端不保存，此时会告诉您到哪里去看。`},
		examples: `picket ctl logs
sudo picket ctl logs -f
picket ctl logs -n 500 --socket /run/picket/admin.sock`,
	}
}

var logElsewhere = cause.Text{
	EN: "The log of process %d goes to no file and not to systemd's journal: look where its standard error goes (docker logs, kubectl logs, a terminal), in syslog, or at $SYS/broker/log/#, if the configuration says log_dest topic. For a file: log_dest file PATH.",
	ZH: "进程 %d 的日志没有写入文件，也没有写入 systemd 的 journal：请查看它的标准错误（docker logs、kubectl logs、终端）或 syslog；配置了 log_dest topic 时，可订阅 $SYS/broker/log/#。要写入文件，请配置 log_dest file 路径。",
}

// Run finds the log and shows its end.
func (c *ctlLogs) Run(e *env) error {
	if c.Lines < 0 {
		return &usageError{text: "-n: a number of lines that is not negative is expected"}
	}
	s, err := c.status(e)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		return c.show(e, s)
	case len(s.LogFiles) > 0:
		return c.file(e, s.LogFiles[0])
	case s.Journal:
		return c.journal(e, s)
	}
	return &statusError{statusFailure, fmt.Sprintf(logElsewhere.In(e.lang()), s.PID)}
}

// journal becomes journalctl's caller.
func (c *ctlLogs) journal(e *env, s *admin.Status) error {
	args := []string{"--no-pager", "-n", strconv.Itoa(c.Lines), "_PID=" + strconv.Itoa(s.PID)}
	if c.Follow {
		args = append(args, "-f")
	}
	cmd := exec.CommandContext(e.ctx, "journalctl", args...) //nolint:gosec // numbers
	cmd.Stdout, cmd.Stderr = e.stdout, e.stderr
	return cmd.Run()
}

// lookForMore is how often a file is looked at for new lines.
const lookForMore = 200 * time.Millisecond

// file shows the end of a file, and follows it to a new one of the same name.
func (c *ctlLogs) file(e *env, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := seekLines(f, c.Lines); err != nil {
		return err
	}
	for {
		if _, err := io.Copy(e.stdout, f); err != nil || !c.Follow {
			return err
		}
		select {
		case <-e.ctx.Done():
			_, err := io.Copy(e.stdout, f)
			return err
		case <-time.After(lookForMore):
		}
		if now, err := os.Stat(path); err == nil && replaced(f, now) {
			if next, err := os.Open(path); err == nil {
				_, err = io.Copy(e.stdout, f) // what came before it was put aside
				err = errors.Join(err, f.Close())
				if f = next; err != nil {
					return err
				}
			}
		}
	}
}

// replaced tells whether another file has the name of f now, or f was emptied.
func replaced(f *os.File, now os.FileInfo) bool {
	was, err := f.Stat()
	if err != nil || !os.SameFile(was, now) {
		return true
	}
	at, err := f.Seek(0, io.SeekCurrent)
	return err == nil && at > now.Size()
}

// seekLines puts the position before the last n lines, at most a megabyte from the end.
func seekLines(f *os.File, n int) error {
	const most = 1 << 20
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	from := max(0, size-most)
	end := make([]byte, size-from)
	if _, err := f.ReadAt(end, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	lines := slices.Collect(bytes.Lines(end))
	at := len(end)
	for _, line := range lines[max(0, len(lines)-n):] {
		at -= len(line)
	}
	_, err = f.Seek(from+int64(at), io.SeekStart)
	return err
}
