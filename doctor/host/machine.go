package host

import (
	"strings"

	"picket/cause"
	"picket/doctor"
)

// Certificate is a certificate of a listener, as it is in the file and as it is served.
type Certificate struct {
	File     string   `json:"file"`
	KeyFile  string   `json:"key_file"`
	Port     int      `json:"port"`
	Names    []string `json:"names"`
	Issuer   string   `json:"issuer"`
	NotAfter int64    `json:"not_after"` // Unix seconds
	Days     int      `json:"days"`      // until then; negative: since then
	Future   bool     `json:"not_yet_valid"`
	Error    string   `json:"error,omitempty"` // the file cannot be used, in the system's words
	Denied   string   `json:"denied,omitempty"`
	// Incomplete says that the certificate of a public authority is there without the ones that lead to a root.
	Incomplete bool `json:"incomplete"`
	Private    bool `json:"private_authority"`
	// KeyMismatch says that the key belongs to another certificate; KeyOpen that every user can read it.
	KeyMismatch bool   `json:"key_mismatch"`
	KeyLocked   bool   `json:"key_locked,omitempty"` // it needs a pass phrase
	KeyOpen     bool   `json:"key_open"`
	KeyMode     string `json:"key_mode,omitempty"`
	// WrongName is the name that clients use, which the certificate is not for.
	WrongName string `json:"wrong_name,omitempty"`
	// Served is whether a connection to the port got a certificate; Other that it was another one than the file's.
	Served     bool   `json:"served"`
	Other      bool   `json:"served_other"`
	ServedDays int    `json:"served_days"`
	User       string `json:"user"` // who has to read the key
}

func (Certificate) Kind() string { return "certificate" }

func (Certificate) Stage() cause.Stage { return cause.TLS }

func (c Certificate) Outcome() doctor.Outcome {
	bad := c.Error != "" || c.Denied != "" || c.Days < 0 || c.Future || c.Incomplete || c.KeyMismatch || c.KeyLocked || c.KeyOpen || c.WrongName != "" || c.Served && (c.Other || c.ServedDays < 0)
	return outcome(!bad)
}

func (c Certificate) Text() cause.Text {
	if c.Error != "" {
		return doctor.Say("The certificate %s (port %d) cannot be used: %s", "证书 %s（端口 %d）无法使用：%s", c.File, c.Port, c.Error)
	}
	t := doctor.Say("The certificate %s (port %d) is for %s, issued by %s", "证书 %s（端口 %d）用于 %s，由 %s 颁发", c.File, c.Port, strings.Join(c.Names, ", "), c.Issuer)
	if c.File == "" {
		t = doctor.Say("The certificate served at port %d is for %s, issued by %s", "端口 %d 提供的证书用于 %s，由 %s 颁发", c.Port, strings.Join(c.Names, ", "), c.Issuer)
	}
	parts := []cause.Text{t}
	switch {
	case c.Future:
		parts = append(parts, doctor.Say("not valid yet", "尚未生效"))
	case c.Days < 0:
		parts = append(parts, doctor.Say("expired %d days ago", "已过期 %d 天", -c.Days))
	default:
		parts = append(parts, doctor.Say("valid for %d more days", "还有 %d 天有效", c.Days))
	}
	if c.Incomplete {
		parts = append(parts, doctor.Say("without its intermediate certificates", "缺少中间证书"))
	}
	if c.WrongName != "" {
		parts = append(parts, doctor.Say("not for %s", "不适用于 %s", c.WrongName))
	}
	switch {
	case c.Denied != "":
		parts = append(parts, doctor.Say("but %s may not read %s", "但用户 %s 无权读取 %s", c.User, c.Denied))
	case c.KeyMismatch:
		parts = append(parts, doctor.Say("but %s is another certificate's key", "但 %s 是另一张证书的私钥", c.KeyFile))
	case c.KeyLocked:
		parts = append(parts, doctor.Say("but %s is locked with a pass phrase", "但私钥 %s 用口令加密", c.KeyFile))
	case c.KeyOpen:
		parts = append(parts, doctor.Say("its key can be read by every user (%s)", "私钥所有用户可读（%s）", c.KeyMode))
	}
	switch {
	case c.Served && c.Other && c.ServedDays < 0:
		parts = append(parts, doctor.Say("the broker serves an older one that has expired", "服务端仍在使用已过期的旧证书"))
	case c.Served && c.Other:
		parts = append(parts, doctor.Say("the broker serves another one", "服务端实际提供的是另一张"))
	case c.Served && c.File != "":
		parts = append(parts, doctor.Say("served as it is", "与实际提供的一致"))
	}
	return join(", ", "，", parts...)
}

// Trust is what a broker checks client certificates with.
type Trust struct {
	File     string `json:"file"`
	What     string `json:"what"` // ClientCA or RevocationList
	Port     int    `json:"port"`
	Name     string `json:"name"`      // the authority's
	NotAfter int64  `json:"not_after"` // Unix seconds: until when it is valid or, of a list, current
	Days     int    `json:"days"`      // until then; negative: since then
}

// What a Trust is.
const (
	ClientCA       = "client-ca"
	RevocationList = "crl"
)

func (Trust) Kind() string              { return "trust" }
func (Trust) Stage() cause.Stage        { return cause.TLS }
func (t Trust) Outcome() doctor.Outcome { return outcome(t.Days >= 0) }

func (t Trust) Text() cause.Text {
	what := doctor.Say("The authority for client certificates %s (port %d, %s) ", "客户端证书的 CA %s（端口 %d，%s）", t.File, t.Port, t.Name)
	if t.What == RevocationList {
		what = doctor.Say("The list of revoked client certificates %s (port %d, %s) ", "客户端证书吊销列表 %s（端口 %d，%s）", t.File, t.Port, t.Name)
	}
	if t.Days < 0 {
		return join("", "", what, doctor.Say("ran out %d days ago", "已过期 %d 天", -t.Days))
	}
	return join("", "", what, doctor.Say("is good for %d more days", "还有 %d 天有效", t.Days))
}

// Files is how many files the broker's process may open, and has open.
type Files struct {
	PID     int    `json:"pid"`
	Program string `json:"program"`
	Open    int    `json:"open"`
	Limit   uint64 `json:"limit"` // the soft one, which counts
	Hard    uint64 `json:"hard"`
}

func (Files) Kind() string { return "files" }

func (Files) Stage() cause.Stage { return cause.Server }

// Room is how many more connections there is room for.
func (f Files) Room() int { return max(0, int(min(f.Limit, 1<<31-1))-f.Open) }

// fewFiles is a limit below which a broker is out of room after a handful of clients, beside its own files.
const fewFiles = 128

func (f Files) low() bool { return uint64(f.Open)*10 >= f.Limit*9 || f.Limit < fewFiles }

func (f Files) Outcome() doctor.Outcome { return outcome(!f.low()) }

func (f Files) Text() cause.Text {
	return doctor.Say("%s (process %d) has %d of %d files open: room for %d more connections", "%s（进程 %d）已打开 %d 个文件，上限 %d：还能容纳 %d 个连接", f.Program, f.PID, f.Open, f.Limit, f.Room())
}

// Clock is whether the machine's clock is kept by a time server.
type Clock struct {
	Synchronized bool    `json:"synchronized"`
	ErrorSeconds float64 `json:"max_error_s"` // what the kernel gives as the largest
	By           string  `json:"by"`          // what told: "adjtimex" or "timedatectl"
}

func (Clock) Kind() string { return "clock" }

func (Clock) Stage() cause.Stage { return cause.Server }

func (c Clock) Outcome() doctor.Outcome {
	if c.Synchronized {
		return doctor.Good
	}
	return doctor.Note
}

func (c Clock) Text() cause.Text {
	if c.Synchronized {
		return doctor.Say("The clock is kept by a time server", "时钟已与时间服务器同步")
	}
	return doctor.Say("The clock is not kept by a time server, as far as the kernel knows", "内核认为时钟没有与时间服务器同步")
}

// Memory is that of the machine, and of the broker's share in it.
type Memory struct {
	Total     uint64 `json:"total"` // bytes
	Available uint64 `json:"available"`
	Broker    uint64 `json:"broker"` // the process's own; 0: there is none
	// Limit is that of the control group of the broker, if it has one.
	Limit uint64 `json:"limit,omitempty"`
	// Killed are the processes that the kernel has killed since the machine started, for lack of memory.
	Killed uint64 `json:"killed"`
	// KilledBroker is the kernel's line about a broker among them.
	KilledBroker string `json:"killed_broker,omitempty"`
}

func (Memory) Kind() string { return "memory" }

func (Memory) Stage() cause.Stage { return cause.Server }

func (m Memory) short() bool {
	return m.Total > 0 && m.Available*20 < m.Total || m.Limit > 0 && m.Broker*10 > m.Limit*9
}

func (m Memory) Outcome() doctor.Outcome { return outcome(!m.short() && m.KilledBroker == "") }

func (m Memory) Text() cause.Text {
	t := doctor.Say("Memory: %s of %s free", "内存：共 %[2]s，可用 %[1]s", size(m.Available), size(m.Total))
	if m.Broker > 0 {
		t = join("", "", t, doctor.Say("; the broker has %s", "；服务端占用 %s", size(m.Broker)))
	}
	if m.Limit > 0 {
		t = join("", "", t, doctor.Say(" of %s that it may have", "，其上限 %s", size(m.Limit)))
	}
	if m.KilledBroker != "" {
		t = join("", "", t, doctor.Say("; the kernel killed a broker: %s", "；内核曾杀死服务端：%s", m.KilledBroker))
	} else if m.Killed > 0 {
		t = join("", "", t, doctor.Say("; the kernel has killed %d processes for lack of it", "；内核因内存不足杀死过 %d 个进程", m.Killed))
	}
	return t
}

func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f := float64(n)
	i := 0
	for f >= 1024 && i < len(units)-1 {
		f /= 1024
		i++
	}
	s := strings.TrimSuffix(strings.TrimRight(ftoa(f), "0"), ".")
	return s + " " + units[i]
}

// Damaged is a file of mosquitto's store that does not begin as such files do.
type Damaged struct {
	File string `json:"file"`
}

func (Damaged) Kind() string            { return "damaged" }
func (Damaged) Stage() cause.Stage      { return cause.Server }
func (Damaged) Outcome() doctor.Outcome { return doctor.Note }

func (d Damaged) Text() cause.Text {
	return doctor.Say("%s does not begin as a file of mosquitto's store", "%s 的开头不是 mosquitto 持久化文件的格式", d.File)
}

// Disk is a file system that the broker writes to.
type Disk struct {
	Path   string `json:"path"`
	What   string `json:"what"` // "log", "data"
	Total  uint64 `json:"total"`
	Free   uint64 `json:"free"` // for ordinary users
	Inodes uint64 `json:"inodes_free"`
	// ReadOnly: nothing can be written to it, as the kernel makes it after errors of the medium.
	ReadOnly bool `json:"read_only,omitempty"`
}

func (Disk) Kind() string { return "disk" }

func (Disk) Stage() cause.Stage { return cause.Server }

// littleDisk is what a broker's log or data may need within a day.
const littleDisk = 64 << 20

func (d Disk) short() bool { return d.Free < littleDisk && d.Free < d.Total/2 || d.Inodes == 0 }

func (d Disk) Outcome() doctor.Outcome { return outcome(!d.short() && !d.ReadOnly) }

func (d Disk) Text() cause.Text {
	t := doctor.Say("Disk of %s: %s of %s free", "%s 所在磁盘：共 %[3]s，可用 %[2]s", d.Path, size(d.Free), size(d.Total))
	if d.ReadOnly {
		t = join("", "", t, doctor.Say(", and it is mounted read-only", "，且以只读方式挂载"))
	}
	if d.Inodes == 0 {
		t = join("", "", t, doctor.Say(", and no more files can be made", "，且无法再新建文件"))
	}
	return t
}

// Kernel are figures that tell of connections that the kernel turned away.
type Kernel struct {
	Overflows    uint64 `json:"listen_overflows"` // since the start: connections that no process accepted in time
	Drops        uint64 `json:"listen_drops"`
	Tracked      uint64 `json:"tracked"` // connections in the kernel's table
	TrackedLimit uint64 `json:"tracked_limit"`
}

func (Kernel) Kind() string { return "kernel" }

func (Kernel) Stage() cause.Stage { return cause.TCP }

func (k Kernel) full() bool { return k.TrackedLimit > 0 && k.Tracked*20 >= k.TrackedLimit*19 }

func (k Kernel) Outcome() doctor.Outcome {
	if k.full() {
		return doctor.Bad
	}
	return doctor.Note
}

func (k Kernel) Text() cause.Text {
	var parts []cause.Text
	if k.Overflows > 0 {
		parts = append(parts, doctor.Say("Since the start the kernel has turned %d connections away, because a program did not take them in time", "自启动以来，内核因程序来不及接受而丢弃了 %d 个连接", k.Overflows))
	}
	if k.TrackedLimit > 0 {
		parts = append(parts, doctor.Say("The kernel's table of connections holds %d of %d", "内核连接跟踪表：%d / %d", k.Tracked, k.TrackedLimit))
	}
	return join("; ", "；", parts...)
}

// Denial is something that SELinux or AppArmor forbade a broker.
type Denial struct {
	By   string `json:"by"` // "SELinux" or "AppArmor"
	What string `json:"what"`
	Line string `json:"line"`
	// Enforced is false when it was only noted.
	Enforced bool `json:"enforced"`
	Count    int  `json:"count"`
}

func (Denial) Kind() string { return "denial" }

func (Denial) Stage() cause.Stage { return cause.Server }

func (d Denial) Outcome() doctor.Outcome {
	if d.Enforced {
		return doctor.Bad
	}
	return doctor.Note
}

func (d Denial) Text() cause.Text {
	t := doctor.Say("%s forbade the broker %s, %d times", "%s 禁止了服务端的 %s，共 %d 次", d.By, d.What, d.Count)
	if !d.Enforced {
		t = join("", "", t, doctor.Say(" (noted only)", "（仅记录）"))
	}
	return t
}
