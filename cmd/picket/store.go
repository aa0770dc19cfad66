package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/printable"
	"picket/session"
	"picket/store/local"
	"picket/store/place"
)

// storeCommand is "picket store": it looks at a broker's store while the broker is stopped, fills one, and goes back to mosquitto.
type storeCommand struct {
	Verify  storeVerify  `cmd:"" help:"Read everything in a store and say what is wrong with it." zh:"读取存储中的全部内容，并指出其中的问题。"`
	Dump    storeDump    `cmd:"" help:"Print what is in a store." zh:"输出存储中的内容。"`
	Import  storeImport  `cmd:"" help:"Make a store of mosquitto's file, or of another store." zh:"用 mosquitto 的文件或另一个存储生成存储。"`
	Restore storeRestore `cmd:"" help:"Make a directory of a backup." zh:"把备份还原为目录。"`
	Export  storeExport  `cmd:"" help:"Write files that mosquitto reads: its mosquitto.db, users and rules." zh:"写出 mosquitto 能读取的文件：mosquitto.db、用户和规则。"`
}

// quietLog is a log for what the commands say themselves.
func quietLog() (*logging.Logger, error) {
	return logging.New(logging.Config{}, io.Discard, io.Discard)
}

// progressLine says on stderr how far something long is, once a second from the second second on, and only to a person.
type progressLine struct {
	e     *env
	next  time.Time
	shown bool
}

func newProgress(e *env) *progressLine { return &progressLine{e: e, next: time.Now().Add(time.Second)} }

func (p *progressLine) show(format string, args ...any) {
	if now := time.Now(); now.After(p.next) {
		p.next = now.Add(time.Second)
		p.shown = true
		fmt.Fprintf(p.e.stderr, "picket: "+format+"\n", args...)
	}
}

// inspect opens a store for reading.
func inspect(e *env, dir string) (*local.Inspector, func(), error) {
	log, err := quietLog()
	if err != nil {
		return nil, nil, err
	}
	i, err := local.Inspect(dir, local.Options{Log: log})
	if err != nil {
		log.Close()
		return nil, nil, err
	}
	p := newProgress(e)
	i.Progress = func(records int) { p.show("%d records so far", records) }
	return i, func() {
		_ = i.Close() // it was only read
		log.Close()
	}, nil
}

// storeVerify is "picket store verify".
type storeVerify struct {
	Dir  string `arg:"" help:"Directory of the store, or where Redis is: redis://…" zh:"存储所在的目录，或 Redis 的地址：redis://…"`
	JSON bool   `name:"json" help:"Print the result as JSON." zh:"以 JSON 格式输出结果。"`
}

func (storeVerify) details() details {
	return details{
		Text: cause.Text{EN: `Reads every record and every checksum of a store whose broker is stopped, and changes nothing. The exit status is 1 when something
is wrong: the next start of the broker then moves what can be read into a fresh store, and leaves the damaged files beside it.
docs/storage.md describes the records.`, ZH: `读取已停止的服务端的存储中每一条记录和每一个校验和，不作任何修改。有问题时退出状态为 1：服务端下次启动时会把能读取的内容移入新的存储，损坏的文件保留在旁边。记录格式见 docs/storage.zh-CN.md。`},
		examples: `picket store verify ~/.local/state/picket/store
picket store verify /var/lib/picket/store --json
picket store verify redis://10.0.0.21:6379`,
	}
}

// Run prints what there is and what is wrong.
func (c *storeVerify) Run(e *env) error {
	if inRedis(c.Dir) {
		return c.verifyRedis(e)
	}
	i, done, err := inspect(e, c.Dir)
	if err != nil {
		return err
	}
	defer done()
	counts, problems, err := i.Verify()
	if err != nil {
		return err
	}
	return c.print(e, counts, problems)
}

// print says what there is and what is wrong. The exit status is 1 if anything is.
func (c *storeVerify) print(e *env, counts local.Counts, problems []string) error {
	if c.JSON {
		if problems == nil {
			problems = []string{}
		}
		if err := writeJSONLine(e.stdout, struct {
			local.Counts
			Problems []string `json:"problems"`
		}{counts, problems}); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			if _, err := fmt.Fprintf(e.stdout, "%s: %s\n", c.Dir, p); err != nil {
				return err
			}
		}
		size := ""
		if counts.Disk > 0 { // what Redis takes is its own to say
			size = ", " + sizeWords(counts.Disk)
		}
		if _, err := fmt.Fprintf(e.stdout, "%s: format %d, %s with %s, %s, %s%s: %s\n", c.Dir, counts.Format, plural(counts.Sessions, "session"),
			plural(counts.Subscriptions, "subscription"), plural(counts.Queued, "queued message"), plural(counts.Retained, "retained message"),
			size, plural(len(problems), "problem")); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return &statusError{status: statusFailure}
	}
	return nil
}

// writeJSONLine writes a value as one line.
func writeJSONLine(w io.Writer, v any) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(append(printable.JSON(bytes.TrimSuffix(line.Bytes(), []byte("\n")), 0), '\n'))
	return err
}

// sizeWords is a size for people.
func sizeWords(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return plural(int(n), "byte")
}

// storeDump is "picket store dump".
type storeDump struct {
	Dir         string `arg:"" help:"Directory of the store, where Redis is (redis://…), or a mosquitto.db." zh:"存储所在的目录、Redis 的地址（redis://…），或 mosquitto.db 文件。"`
	JSON        bool   `name:"json" xor:"form" help:"Print one JSON object a line; of a mosquitto.db one object, as mosquitto_db_dump does." zh:"每行输出一个 JSON 对象；对 mosquitto.db 则与 mosquitto_db_dump 一样输出一个对象。"`
	Stats       bool   `xor:"form" help:"Of a mosquitto.db: print how much there is of each kind." zh:"仅用于 mosquitto.db：输出各类内容的数量。"`
	ClientStats bool   `xor:"form" help:"Of a mosquitto.db: print for each client the number and bytes of its subscriptions (SC, SS) and messages (MC, MS)." zh:"仅用于 mosquitto.db：输出每个客户端的订阅数和字节数（SC、SS）以及消息数和字节数（MC、MS）。"`
	Payloads    bool   `help:"Print payloads too: messages may hold secrets. In JSON they are in base64." zh:"同时输出载荷：消息中可能有机密。在 JSON 中为 base64。"`
}

func (storeDump) details() details {
	return details{
		Text: cause.Text{EN: `Prints each session of a store whose broker is stopped, with its subscriptions and its queue, and the retained messages. Of payloads only the
size is printed, unless --payloads asks for them. Of a mosquitto.db (of mosquitto 1.3 and later) everything is printed in the form of mosquitto_db_dump; called by that
name, picket is that program.`, ZH: `输出已停止的服务端的存储中的每个会话及其订阅和队列，以及保留消息。载荷只显示大小，除非使用 --payloads。对 mosquitto.db（mosquitto 1.3 及以后）按 mosquitto_db_dump 的格式输出；以该名称调用时，picket 就是那个程序。`},
		examples: `picket store dump ~/.local/state/picket/store
picket store dump /var/lib/picket/store --json | jq 'select(.kind == "queued") | .topic'
picket store dump /var/lib/picket/store --payloads
picket store dump /var/lib/mosquitto/mosquitto.db --stats`,
	}
}

// dumped is one line of the dump.
type dumped struct {
	Kind        string     `json:"kind"` // session, subscription, received, queued, released, retained
	Client      string     `json:"client,omitempty"`
	User        string     `json:"user,omitempty"`
	Expiry      *uint32    `json:"expiry,omitempty"`  // seconds; 4294967295: for ever
	Offline     *time.Time `json:"offline,omitempty"` // since
	Next        *uint64    `json:"next,omitempty"`
	Sent        *uint64    `json:"sent,omitempty"`
	Will        string     `json:"will,omitempty"` // its topic
	Filter      string     `json:"filter,omitempty"`
	QoS         *byte      `json:"qos,omitempty"`
	NoLocal     bool       `json:"noLocal,omitempty"`
	AsPublished bool       `json:"retainAsPublished,omitempty"`
	IDs         []uint32   `json:"subscriptionIdentifiers,omitempty"`
	Sequence    *uint64    `json:"sequence,omitempty"`
	PacketID    uint16     `json:"packetIdentifier,omitempty"`
	Topic       string     `json:"topic,omitempty"`
	Retain      bool       `json:"retain,omitempty"`
	From        string     `json:"from,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Size        *int       `json:"size,omitempty"` // of the payload, in bytes
	Payload     []byte     `json:"payload,omitempty"`
}

// Run prints everything.
func (c *storeDump) Run(e *env) error {
	if info, err := os.Stat(c.Dir); err == nil && info.Mode().IsRegular() {
		return c.dumpFile(e)
	}
	if c.Stats || c.ClientStats {
		return &usageError{text: "--stats and --client-stats are for a mosquitto.db; picket store verify counts what is in a store", help: "picket store dump --help"}
	}
	place, err := placeArgument(c.Dir)
	if err != nil {
		return err
	}
	each, done, err := openItems(e, place)
	if err != nil {
		return err
	}
	defer done()
	out := bufio.NewWriterSize(e.stdout, 1<<16)
	err = each(func(item local.Item) error {
		if err := e.ctx.Err(); err != nil {
			return err
		}
		d := describeItem(&item, c.Payloads)
		if c.JSON {
			return writeJSONLine(out, d)
		}
		_, err := fmt.Fprintln(out, d)
		return err
	})
	return errors.Join(err, out.Flush())
}

func when(unix int64) *time.Time {
	if unix == 0 {
		return nil
	}
	t := time.Unix(unix, 0).UTC()
	return &t
}

func describeItem(item *local.Item, payloads bool) *dumped {
	d := &dumped{Client: item.ClientID}
	switch {
	case item.Record != nil:
		r := item.Record
		d.Kind, d.User, d.Expiry, d.Offline, d.Next, d.Sent = "session", r.User, &r.Expiry, when(r.Offline), &r.Next, &r.Sent
		if r.Will != nil {
			d.Will = r.Will.Message.Topic
		}
	case item.Sub != nil:
		o := &item.Sub.Options
		d.Kind, d.Filter, d.QoS, d.NoLocal, d.AsPublished = "subscription", item.Sub.Filter, &o.QoS, o.NoLocal, o.RetainAsPublished
		if o.Identifier != 0 {
			d.IDs = []uint32{o.Identifier}
		}
	case item.Entry != nil:
		n := item.Entry
		d.Kind, d.Sequence, d.QoS, d.Retain, d.IDs = "queued", &n.Seq, &n.QoS, n.Retain, n.IDs
		if n.QoS > 0 {
			d.PacketID = session.PacketID(n.Seq)
		}
		if n.Released {
			d.Kind = "released"
		} else {
			d.message(n.Message, payloads)
		}
	case item.Retained != nil:
		d.Kind, d.QoS = "retained", &item.Retained.QoS
		d.message(item.Retained, payloads)
	default:
		d.Kind, d.PacketID = "received", item.Received
	}
	return d
}

func (d *dumped) message(m *session.Message, payloads bool) {
	size := len(m.Payload)
	d.Topic, d.From, d.Size, d.Expires = m.Topic, m.From, &size, when(m.Expires)
	if d.User == "" {
		d.User = m.User
	}
	if payloads {
		d.Payload = m.Payload
	}
}

// String is the line for people.
func (d *dumped) String() string {
	line := ""
	add := func(format string, args ...any) { line += fmt.Sprintf(format, args...) }
	switch d.Kind {
	case "session":
		add("session %q", d.Client)
		if d.User != "" {
			add(" user %q", d.User)
		}
		if *d.Expiry == 0xFFFFFFFF {
			add(" does not expire")
		} else {
			add(" expires after %s", time.Duration(*d.Expiry)*time.Second)
		}
		if d.Offline != nil {
			add(", offline since %s", d.Offline.Format(time.RFC3339))
		}
		add(", next number %d, sent up to %d", *d.Next, *d.Sent)
		if d.Will != "" {
			add(", will to %q", d.Will)
		}
		return line
	case "subscription":
		add("  subscription %q QoS %d", d.Filter, *d.QoS)
		if d.NoLocal {
			add(" no local")
		}
		if d.AsPublished {
			add(" retain as published")
		}
		for _, id := range d.IDs {
			add(" identifier %d", id)
		}
		return line
	case "received":
		return fmt.Sprintf("  received QoS 2 packet identifier %d, not released", d.PacketID)
	case "released":
		return fmt.Sprintf("  queued number %d packet identifier %d: waits for PUBCOMP", *d.Sequence, d.PacketID)
	case "queued":
		add("  queued number %d packet identifier %d QoS %d", *d.Sequence, d.PacketID, *d.QoS)
	default:
		add("retained QoS %d", *d.QoS)
	}
	add(" %q %s", d.Topic, plural(*d.Size, "byte"))
	if d.From != "" {
		add(" from %q", d.From)
	}
	if d.Expires != nil {
		add(" expires %s", d.Expires.Format(time.RFC3339))
	}
	if d.Payload != nil {
		add(" %s", strconv.Quote(string(d.Payload)))
	}
	return line
}

// storeImport is "picket store import".
type storeImport struct {
	From string `arg:"" help:"mosquitto's file, mosquitto.db; or another store: its directory, or where Redis is: redis://…" zh:"mosquitto 的文件 mosquitto.db；或另一个存储：其目录，或 Redis 的地址：redis://…"`
	To   string `arg:"" help:"The store: a directory that is empty, or not there yet; or where Redis is: redis://…" zh:"要生成的存储：空的或尚不存在的目录，或 Redis 的地址：redis://…"`
}

func (storeImport) details() details {
	return details{
		Text: cause.Text{EN: `Makes a store of the file in which mosquitto 1.6, 2.0 or 2.1 has kept its state: sessions with their subscriptions and queued messages, those in
flight with their packet identifiers, QoS 2 messages received and not released, retained messages. Stop mosquitto first: it writes the file when it
ends. mosquitto's file does not change. One that is damaged is read as far as it goes, and what is lost is printed. Not in it, and so not in the store: shared subscriptions and will messages.

With another store in the file's place, everything in it is moved: from a directory to Redis, or back. The broker has to be stopped, and the store that is read stays as it
is. A password of Redis belongs into the environment: with PICKET_CLUSTER=redis://…, write "cluster" in its place.`, ZH: `用 mosquitto 1.6、2.0 或 2.1 保存状态的文件生成存储：会话及其订阅和排队的消息、在途消息及其报文标识符、已收到但尚未释放的 QoS 2 消息、保留消息。请先停止 mosquitto：它在结束时才写入文件。mosquitto 的文件不会改变。文件损坏时，能读多少读多少，丢失的内容会列出。共享订阅和遗嘱不在该文件中，因此也不会出现在存储里。

如果给出的是另一个存储，就迁移其中的全部内容：从目录到 Redis，或反过来。服务端必须已经停止，被读取的存储保持不变。Redis 的密码应放在环境变量中：设置 PICKET_CLUSTER=redis://…，命令行上写 "cluster" 代替地址。`},
		examples: `systemctl stop mosquitto
picket store import /var/lib/mosquitto/mosquitto.db /var/lib/picket/store
picket store import /var/lib/picket/store redis://10.0.0.21:6379
picket store import redis://10.0.0.21,10.0.0.22,10.0.0.23/mymaster /var/lib/picket/store`,
	}
}

// Run reads the whole file before it writes anything.
func (c *storeImport) Run(e *env) error {
	if info, err := os.Stat(c.From); inRedis(c.From) || err == nil && info.IsDir() {
		return c.move(e)
	} else if err != nil {
		return err
	}
	if inRedis(c.To) {
		return fmt.Errorf("first make a directory of %s, and then move that to Redis: picket store import %s DIR, picket store import DIR %s", c.From, c.From, c.To)
	}
	p := newProgress(e)
	file, sum, err := place.Import(e.ctx, c.From, c.To, func(far place.Progress) {
		if far.Sessions == 0 {
			p.show("%s of %s read", sizeWords(far.Read), c.From)
		} else {
			p.show("%d of %s written", far.Written, plural(far.Sessions, "session"))
		}
	})
	if err != nil {
		return err
	}
	for _, line := range file.Lost {
		if _, err := fmt.Fprintf(e.stdout, "%s: damaged: %s\n", c.From, line); err != nil {
			return err
		}
	}
	for _, line := range file.Skipped {
		if _, err := fmt.Fprintf(e.stdout, "%s: left out: %s\n", c.From, line); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %s\n", c.To, sum)
	return err
}
