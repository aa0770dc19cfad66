package main

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk" // the forms of packages
	_ "github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

//go:embed files
var own embed.FS

// links are the other programs' names that the binary answers to, and the man pages that explain them.
var links = []struct{ path, manual string }{
	{"/usr/sbin/mosquitto", "picket-serve"},
	{"/usr/bin/mosquitto_pub", "picket-pub"},
	{"/usr/bin/mosquitto_sub", "picket-sub"},
	{"/usr/bin/mosquitto_rr", "picket-rr"},
	{"/usr/bin/mosquitto_passwd", "picket-passwd"},
	{"/usr/bin/mosquitto_db_dump", "picket-store"},
	{"/usr/bin/redis-sentinel", "picket-sentinel"},
}

// installed are the files of the package.
func (r *release) installed(t target) (all []entry, err error) {
	all = []entry{
		{name: "/usr/bin/picket", file: r.binary(t), mode: 0o755},
		{name: "/usr/share/doc/picket/copyright", file: filepath.Join(r.source, "LICENSE"), mode: 0o644},
		{name: "/usr/share/doc/picket/README.md", file: filepath.Join(r.source, "README.md"), mode: 0o644},
		{name: "/usr/share/doc/picket/README.zh-CN.md", file: filepath.Join(r.source, "README.zh-CN.md"), mode: 0o644},
	}
	for name, at := range map[string]string{
		"picket.service": "/usr/lib/systemd/system/picket.service", "picket.socket": "/usr/lib/systemd/system/picket.socket", "sysusers.conf": "/usr/lib/sysusers.d/picket.conf",
	} {
		data, err := own.ReadFile("files/" + name)
		if err != nil {
			return nil, err
		}
		all = append(all, entry{name: at, data: data, mode: 0o644})
	}
	manuals, err := r.manualEntries()
	if err != nil {
		return nil, err
	}
	for _, m := range manuals {
		data, err := m.read()
		if err != nil {
			return nil, err
		}
		e := entry{data: data, mode: 0o644}
		switch base := path.Base(m.name); {
		case strings.HasPrefix(m.name, "man1/"):
			e.name = "/usr/share/man/" + m.name + ".gz"
			if e.data, err = r.squeeze(data); err != nil {
				return nil, err
			}
		case base == "_picket":
			e.name = "/usr/share/zsh/vendor-completions/_picket"
		case base == "picket.fish":
			e.name = "/usr/share/fish/vendor_completions.d/picket.fish"
		default:
			e.name = "/usr/share/bash-completion/completions/picket"
		}
		all = append(all, e)
	}
	return all, nil
}

// squeeze compresses without a time or a name.
func (r *release) squeeze(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(data)
	err = errors.Join(err, w.Close()) // before the bytes are looked at
	return b.Bytes(), err
}

// packages makes .deb, .rpm and .apk of the broker, and once for all processors those with the links.
func (r *release) packages(t target) error {
	all, err := r.installed(t)
	if err != nil {
		return err
	}
	info := r.info("picket", t.arch+t.arm)
	info.Description = "MQTT broker that a phone can reach within minutes\nA broker for MQTT 3.1, 3.1.1 and 5.0 that takes mosquitto's configuration,\na client for the command line, a doctor for connections, and a sentinel for Redis."
	info.Recommends = []string{"ca-certificates"}
	if info.Contents, err = r.contents(t, all); err != nil {
		return err
	}
	for name, at := range map[string]string{"picket.conf": "/etc/picket/picket.conf", "logrotate": "/etc/logrotate.d/picket"} {
		file, err := r.ownFile(name)
		if err != nil {
			return err
		}
		info.Contents = append(info.Contents, r.content(file, at, files.TypeConfigNoReplace, 0o644))
	}
	for name, script := range map[string]*string{
		"preinst": &info.Scripts.PreInstall, "postinst": &info.Scripts.PostInstall, "prerm": &info.Scripts.PreRemove, "postrm": &info.Scripts.PostRemove,
	} {
		if *script, err = r.ownFile(name); err != nil {
			return err
		}
	}
	if err := r.withOpenRC(info); err != nil {
		return err
	}
	if err := r.pack(info, t.file()); err != nil {
		return err
	}
	return r.links(t)
}

// withOpenRC gives Alpine's package its service, and the script that an upgrade runs there.
func (r *release) withOpenRC(info *nfpm.Info) error {
	service, err := r.ownFile("picket.openrc")
	if err != nil {
		return err
	}
	openrc := r.content(service, "/etc/init.d/picket", files.TypeFile, 0o755)
	openrc.Packager = "apk"
	info.Contents = append(info.Contents, openrc)
	info.APK.Scripts.PostUpgrade = info.Scripts.PostInstall
	return nil
}

// links makes the package that puts Picket in the place of mosquitto and redis-sentinel.
func (r *release) links(t target) error {
	info := r.info("picket-links", t.arch+t.arm)
	info.Description = "Picket under the names mosquitto, mosquitto_pub, ..., redis-sentinel\nLinks with which scripts and services that call these programs get Picket."
	info.Depends = []string{"picket"}
	info.Conflicts = []string{"mosquitto", "mosquitto-clients", "redis-sentinel"}
	info.Provides = []string{"mosquitto", "mosquitto-clients", "redis-sentinel"}
	info.Replaces = info.Conflicts
	for _, l := range links {
		info.Contents = append(info.Contents, r.content("/usr/bin/picket", l.path, files.TypeSymlink, 0o777))
		name := path.Base(l.path)
		info.Contents = append(info.Contents, r.content(l.manual+".1.gz", "/usr/share/man/man1/"+name+".1.gz", files.TypeSymlink, 0o777))
	}
	return r.pack(info, t.file())
}

func (r *release) info(name, arch string) *nfpm.Info {
	info := &nfpm.Info{
		Name: name, Arch: arch, Platform: "linux", Version: r.version, Section: "net", Priority: "optional",
		Maintainer: "The Picket authors <picket@localhost>", License: "Apache-2.0", MTime: r.date, DisableGlobbing: true,
	}
	info.RPM.BuildHost = "localhost"
	return info
}

func (r *release) contents(t target, all []entry) (list files.Contents, err error) {
	for i, e := range all {
		if e.file == "" {
			e.file = filepath.Join(r.work, t.file(), "content-"+itoa(i))
			if err := os.WriteFile(e.file, e.data, 0o644); err != nil { //nolint:gosec // for everybody
				return nil, err
			}
		}
		list = append(list, r.content(e.file, e.name, files.TypeFile, e.mode))
	}
	return list, nil
}

func (r *release) content(from, to, kind string, mode os.FileMode) *files.Content {
	return &files.Content{Source: from, Destination: to, Type: kind, FileInfo: &files.ContentFileInfo{Mode: mode, MTime: r.date, Owner: "root", Group: "root"}}
}

// ownFile puts one of the embedded files where nfpm can read it.
func (r *release) ownFile(name string) (string, error) {
	data, err := own.ReadFile("files/" + name)
	if err != nil {
		return "", err
	}
	file := filepath.Join(r.work, "own-"+name)
	if err := os.WriteFile(file, data, 0o755); err != nil { //nolint:gosec // scripts are run
		return "", err
	}
	return file, os.Chtimes(file, r.date, r.date) // .apk has the times of scripts
}

// pack writes a package in each form.
func (r *release) pack(info *nfpm.Info, platform string) error {
	for _, form := range []string{"deb", "rpm", "apk"} {
		packager, err := nfpm.Get(form)
		if err != nil {
			return err
		}
		one := nfpm.WithDefaults(info)
		copied := *one
		copied.Contents = append(files.Contents{}, info.Contents...)
		if form == "apk" { // a line of its .PKGINFO is a field
			copied.Description, _, _ = strings.Cut(info.Description, "\n")
		}
		name := info.Name + "-" + r.version + "-" + platform + "." + form
		if err := r.create(name, func(w io.Writer) error { return packager.Package(&copied, w) }); err != nil {
			return err
		}
	}
	return nil
}
