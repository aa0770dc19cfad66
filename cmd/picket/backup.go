package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"picket/backup"
	"picket/ban"
	"picket/cause"
	"picket/mosqconf"
	"picket/printable"
	"picket/setup"
	"picket/store/local"
	"picket/token"
)

// filesName is where files that are not the data directory's stand in a backup, by their whole paths.
const filesName = "files"

// writeBackup writes a backup of what runs: what is stored as it is at one moment, users, rights, bans, the configuration; with keys also certificates and their keys.
func (s *server) writeBackup(ctx context.Context, w io.Writer, keys bool) error {
	config := s.current.Load()
	all := backup.NewWriter(w)
	if kept, ok := s.kept.(*local.Store); ok {
		if err := kept.Backup(ctx, func(dir string) error { return all.Add(storeName, dir) }); err != nil {
			return err
		}
	}
	done := make(map[string]bool)
	add := func(name, from string) error {
		whole, err := filepath.Abs(from)
		if err != nil || from == "" || done[whole] {
			return err
		}
		done[whole] = true
		if name == "" {
			name = path.Join(filesName, strings.TrimPrefix(filepath.ToSlash(strings.TrimPrefix(whole, filepath.VolumeName(whole))), "/"))
		}
		return all.Add(name, whole)
	}
	if s.own != nil {
		for _, name := range ownFiles(keys) {
			if err := add(name, filepath.Join(s.own.Dir, name)); err != nil {
				return err
			}
		}
	}
	for _, file := range configuredFiles(config, keys) {
		if err := add("", file); err != nil {
			return err
		}
	}
	return all.Close(buildVersion(), time.Now())
}

// ownFiles are those of a data directory.
func ownFiles(keys bool) []string {
	kept, secret := setup.Kept()
	kept = append(kept, ban.FileName, token.FileName)
	if keys {
		kept = append(append(kept, secret...), authorityDir)
	}
	return kept
}

// configuredFiles are those that a configuration was read from, and names.
func configuredFiles(c *mosqconf.Config, keys bool) []string {
	all := append([]string{}, c.Files...)
	all = append(all, c.BansFile, c.TokensFile)
	for _, s := range c.Security {
		all = append(all, s.PasswordFile, s.ACLFile, s.RightsFile)
	}
	for _, asked := range c.Backends {
		all = append(all, asked.Files()...)
	}
	if !keys {
		return all
	}
	for _, l := range c.Listeners {
		all = append(all, l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CAFile, l.TLS.CRLFile)
		for _, more := range l.TLS.SNI {
			all = append(all, more.CertFile, more.KeyFile)
		}
	}
	return all
}

// ctlBackup is "picket ctl backup".
type ctlBackup struct {
	File string `arg:"" help:"The file to make; it must not be there yet. -: standard output." zh:"要生成的文件，不能已经存在。-：标准输出。"`
	Keys bool   `help:"Put certificates and their private keys into it, too: keep it as safe as these." zh:"同时包含证书及其私钥：请像保管私钥一样保管它。"`
	adminFlags
}

func (ctlBackup) details() details {
	return details{
		Text: cause.Text{EN: `Makes a backup while the broker runs: sessions, subscriptions, queued and retained messages as they are at one moment, with everything that has been acknowledged before;
users, passwords (their hashes), rights and bans; the configuration with the files that it names. The broker goes on meanwhile. The file is a tar file that only its owner can
read, and its end says whether it is whole. Messages that Redis keeps (cluster) are not in it: back up Redis.

picket store restore makes a directory of it again. Without --keys a broker made from it has other certificates, which its clients do not know.

Exit status: 0 when the backup is whole and on the disk, 1 when not.`, ZH: `在服务端运行时备份：某一时刻的会话、订阅、排队消息和保留消息（此前已确认的全部包含在内），用户、密码（哈希）、权限和封禁，以及配置文件和其中指定的文件。备份期间服务端照常工作。备份是一个 tar 文件，只有所有者能读取，末尾可以验证它是否完整。保存在 Redis 中的消息（cluster）不在其中：请备份 Redis。

用 picket store restore 还原为目录。不加 --keys 时，用它还原的服务端会使用新的证书，客户端并不认识。

退出状态：备份完整并已写入磁盘为 0，否则为 1。`},
		examples: `picket ctl backup /var/backups/picket.tar
picket ctl backup /var/backups/picket-$(date +%F).tar --keys
picket ctl backup - --keys | ssh backup@192.168.1.9 'cat > picket.tar'`,
	}
}

// backupWords are what is said about backups.
var backupWords = struct{ made, left, restored, next, data, elsewhere cause.Text }{
	made:     cause.Text{EN: "%s: %d files, %s\n", ZH: "%s：%d 个文件，%s\n"},
	left:     cause.Text{EN: "Not in it, since the broker may not read it: %s\n", ZH: "服务端无权读取，因此未包含：%s\n"},
	restored: cause.Text{EN: "%s: restored %d files, %s, as of %s\n", ZH: "%s：已还原 %d 个文件，%s，备份时间 %s\n"},
	data:     cause.Text{EN: "Start the broker with: picket serve --data %s\n", ZH: "启动服务端：picket serve --data %s\n"},
	next:     cause.Text{EN: "The store is in %s: name it with persistence_store in the configuration.\n", ZH: "存储在 %s：请在配置中用 persistence_store 指定它。\n"},
	elsewhere: cause.Text{
		EN: "Files from other places, such as the configuration, are in %s, to be put where they belong.\n",
		ZH: "其他位置的文件（例如配置文件）在 %s，请放回原处。\n",
	},
}

// Run makes the backup.
func (c *ctlBackup) Run(e *env) error {
	found, err := c.dial(e)
	if err != nil {
		return err
	}
	if c.File == "-" {
		return backupTo(e, found.Backup, e.stdout, c.Keys, nil)
	}
	if _, err := os.Lstat(c.File); err == nil {
		return fmt.Errorf("%s is there already: name another place, or move that one away", c.File)
	}
	f, err := os.CreateTemp(filepath.Dir(c.File), "."+filepath.Base(c.File)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var seal *backup.Seal
	err = backupTo(e, found.Backup, f, c.Keys, func(s *backup.Seal) { seal = s })
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return err
	}
	text := fmt.Sprintf(backupWords.made.In(e.lang()), c.File, seal.Files, sizeWords(seal.Bytes))
	for _, left := range seal.Left {
		text += fmt.Sprintf(backupWords.left.In(e.lang()), printable.Text(left))
	}
	return c.print(e, seal, text)
}

// backupTo copies a backup to w, and looks on the way whether it is whole.
func backupTo(e *env, get func(context.Context, io.Writer, bool) error, w io.Writer, keys bool, whole func(*backup.Seal)) error {
	r, pipe := io.Pipe()
	seen := make(chan error, 1)
	go func() {
		p, bytes := newProgress(e), int64(0)
		seal, err := backup.Read(r, func(_ string, size int64, _ io.Reader) error {
			bytes += size
			p.show("%s so far", sizeWords(bytes))
			return nil
		})
		if err == nil && whole != nil {
			whole(seal)
		}
		_, _ = io.Copy(io.Discard, r) // the padding behind the last entry
		seen <- err
	}()
	err := get(e.ctx, io.MultiWriter(w, pipe), keys)
	_ = pipe.Close() // it never fails
	if wrong := <-seen; err == nil {
		err = wrong
	}
	return err
}

// storeRestore is "picket store restore".
type storeRestore struct {
	File string `arg:"" help:"The backup." zh:"备份文件。"`
	Dir  string `arg:"" type:"path" help:"A directory that is empty, or not there yet." zh:"空的或尚不存在的目录。"`
	JSON bool   `name:"json" help:"Print the result as JSON." zh:"以 JSON 格式输出结果。"`
}

func (storeRestore) details() details {
	return details{
		Text: cause.Text{EN: `Makes a directory of a backup (picket ctl backup), in which a start without a configuration finds everything: picket serve --data DIR. Files from other places, such as the
configuration, are put into DIR/files, to be put where they belong.

Exit status: 0 when everything is there, 1 when the backup is not whole or has changed.`, ZH: `把备份（picket ctl backup）还原为目录，不用配置文件启动时可以直接使用：picket serve --data 目录。其他位置的文件（例如配置文件）放在该目录的 files 中，请放回原处。

退出状态：全部还原为 0；备份不完整或被改动过为 1。`},
		examples: `picket store restore picket.tar /var/lib/picket
picket store verify /var/lib/picket/store`,
	}
}

// Run restores the files.
func (c *storeRestore) Run(e *env) error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	p := newProgress(e)
	seal, err := backup.Restore(f, c.Dir, func(bytes int64) { p.show("%s so far", sizeWords(bytes)) })
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.JSON {
		return writeJSONLine(e.stdout, seal)
	}
	lang := e.lang()
	text := fmt.Sprintf(backupWords.restored.In(lang), c.Dir, seal.Files, sizeWords(seal.Bytes), seal.Made.Local().Format("2006-01-02 15:04:05"))
	if setup.IsDataDir(c.Dir) {
		text += fmt.Sprintf(backupWords.data.In(lang), c.Dir)
	} else if _, err := os.Stat(filepath.Join(c.Dir, storeName)); err == nil {
		text += fmt.Sprintf(backupWords.next.In(lang), filepath.Join(c.Dir, storeName))
	}
	if files := filepath.Join(c.Dir, filesName); isDirectory(files) {
		text += fmt.Sprintf(backupWords.elsewhere.In(lang), files)
	}
	_, err = io.WriteString(e.stdout, text)
	return err
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
