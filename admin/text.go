package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"picket/cause"
)

// words are the texts of one language.
type words struct {
	head, config, clients, memory, lag, connections, room      string
	stored, unstored, failing                                  string
	overloaded, calm, open, closed, until, byHand, since, grac string
	reference, moved, excepts, local, message, socket, unlim   string
	listeners, causes, none, page, nopage                      string
	answers, fails                                             string
}

var texts = map[cause.Lang]words{
	cause.English: {
		head:    "Picket %s, process %d, running for %s\n",
		config:  "configuration  %s\n",
		clients: "clients        %d connected, %d sessions, %d subscriptions, %d retained messages, %s waiting\n",
		stored:  "storage        %d queued messages, %s on the disk, %d fsyncs\n", unstored: "storage        off: what is in memory ends with the broker\n", failing: "storage        nothing can be stored  [%s]\n",
		memory:      "memory         %s of %s\n",
		lag:         "event loops    %d ms late; passwords waited %d ms to be checked\n",
		connections: "connections    %d, limit %s\n",
		room:        "%d (limit on open files)",
		overloaded:  "overloaded     short of %s  [overloaded]\n",
		calm:        "overloaded     no\n",
		open:        "maintenance    no\n",
		closed:      "maintenance    %s  [maintenance]\n",
		until:       "until %s", byHand: "until picket ctl maintenance off", since: "since %s", grac: "connected clients may stay for %s",
		reference: "clients are sent to %s", moved: "clients are told that the server has moved to %s", excepts: "let in: %s", local: "this machine", message: "%q", socket: "socket %s", unlim: "no limit",
		listeners: "\nlisteners\n", causes: "\nrefused, dropped or closed since the start\n", none: "  nothing\n",
		page: "page for phones", nopage: "page           none in this build: it needs node and npm (make build)  [page-not-built]\n",
		answers: "back end       %s (%s): answers; asked %d times, %d without an answer, the last took %d ms\n",
		fails:   "back end       %s (%s): does not answer since %s: %s  [auth-backend-down]\n",
	},
	cause.Chinese: {
		head:    "Picket %s，进程 %d，已运行 %s\n",
		config:  "配置文件    %s\n",
		clients: "客户端      已连接 %d，会话 %d，订阅 %d，保留消息 %d，待发送 %s\n",
		stored:  "存储        排队消息 %d，磁盘占用 %s，fsync %d 次\n", unstored: "存储        已关闭：服务端停止后内存里的内容都会丢失\n", failing: "存储        现在什么都存不了  [%s]\n",
		memory:      "内存        %s / %s\n",
		lag:         "事件循环    延迟 %d 毫秒；密码校验最长等待 %d 毫秒\n",
		connections: "连接        %d，上限 %s\n",
		room:        "%d（受可打开文件数限制）",
		overloaded:  "过载        资源不足：%s  [overloaded]\n",
		calm:        "过载        否\n",
		open:        "维护        否\n",
		closed:      "维护        %s  [maintenance]\n",
		until:       "到 %s 为止", byHand: "直到执行 picket ctl maintenance off", since: "开始于 %s", grac: "已连接的客户端可再停留 %s",
		reference: "让客户端改用 %s", moved: "告知客户端服务已迁到 %s", excepts: "仍允许：%s", local: "本机", message: "“%s”", socket: "套接字 %s", unlim: "不限",
		listeners: "\n监听\n", causes: "\n启动以来拒绝、丢弃或断开的次数\n", none: "  没有\n",
		page: "手机测试页", nopage: "测试页      此版本不含（编译时需要 node 和 npm：make build）  [page-not-built]\n",
		answers: "认证后端    %s（%s）：应答正常；询问 %d 次，%d 次没有应答，最近一次用时 %d 毫秒\n",
		fails:   "认证后端    %s（%s）：从 %s 起没有应答：%s  [auth-backend-down]\n",
	},
}

// shortNames says what is short.
var shortNames = map[string]cause.Text{"cpu": {EN: "processor", ZH: "处理器"}, "memory": {EN: "memory", ZH: "内存"}, "descriptors": {EN: "open files", ZH: "文件描述符"}}

// Text is the status for a person to read.
func (s *Status) Text(lang cause.Lang) string {
	w := texts[lang]
	var b strings.Builder
	fmt.Fprintf(&b, w.head, s.Version, s.PID, (time.Duration(s.Uptime) * time.Second).String())
	if s.Config != "" {
		fmt.Fprintf(&b, w.config, s.Config)
	}
	fmt.Fprintf(&b, w.clients, s.Clients, s.Sessions, s.Subscriptions, s.Retained, size(s.Waiting))
	if k := s.Store; k == nil {
		b.WriteString(w.unstored)
	} else {
		if k.Failing != "" {
			fmt.Fprintf(&b, w.failing, k.Failing)
		}
		fmt.Fprintf(&b, w.stored, k.Messages, size(k.Disk), k.Syncs)
	}
	for _, one := range s.Backends {
		if one.Since.IsZero() {
			fmt.Fprintf(&b, w.answers, one.Name, one.Where, one.Asked, one.Failed, one.Last)
		} else {
			fmt.Fprintf(&b, w.fails, one.Name, one.Where, one.Since.Format(time.DateTime), one.Error)
		}
	}
	s.loadText(&b, w, lang)
	if s.Maintenance == nil {
		b.WriteString(w.open)
	} else {
		fmt.Fprintf(&b, w.closed, s.Maintenance.text(w))
	}
	if !s.Page {
		b.WriteString(w.nopage)
	}
	b.WriteString(w.listeners)
	for _, l := range s.Listeners {
		b.WriteString("  " + l.text(w) + "\n")
	}
	b.WriteString(w.causes)
	if len(s.Causes) == 0 {
		b.WriteString(w.none)
	}
	ids := slices.SortedFunc(maps.Keys(s.Causes), func(a, b cause.ID) int {
		return cmp.Or(-cmp.Compare(s.Causes[a], s.Causes[b]), cmp.Compare(a, b))
	})
	for _, id := range ids {
		title := ""
		if c, ok := cause.Lookup(id); ok {
			title = c.Title.In(lang)
		}
		fmt.Fprintf(&b, "  %8d  %-24s %s\n", s.Causes[id], id, title)
	}
	return b.String()
}

// loadText says how busy the broker is.
func (s *Status) loadText(b *strings.Builder, w words, lang cause.Lang) {
	limit := w.unlim
	switch {
	case s.GlobalMax > 0 && int64(s.GlobalMax) < s.Load.ConnectionLimit:
		limit = fmt.Sprintf("%d (global_max_connections)", s.GlobalMax)
	case s.Load.ConnectionLimit > 0:
		limit = fmt.Sprintf(w.room, s.Load.ConnectionLimit)
	}
	fmt.Fprintf(b, w.connections, s.Load.Connections, limit)
	fmt.Fprintf(b, w.memory, size(s.Load.Memory), size(s.Load.MemoryLimit))
	fmt.Fprintf(b, w.lag, s.Load.Lag, s.Load.PasswordWait)
	if len(s.Load.Short) == 0 {
		b.WriteString(w.calm)
	} else {
		var short []string
		for _, name := range s.Load.Short {
			short = append(short, shortNames[name].In(lang))
		}
		fmt.Fprintf(b, w.overloaded, strings.Join(short, ", "))
	}
}

func (m *Maintenance) text(w words) string {
	at := func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }
	parts := []string{w.byHand, fmt.Sprintf(w.since, at(m.Since))}
	if !m.Until.IsZero() {
		parts[0] = fmt.Sprintf(w.until, at(m.Until))
	}
	if m.Grace > 0 {
		parts = append(parts, fmt.Sprintf(w.grac, time.Duration(m.Grace*float64(time.Second))))
	}
	switch {
	case m.Moved:
		parts = append(parts, fmt.Sprintf(w.moved, m.ServerReference))
	case m.ServerReference != "":
		parts = append(parts, fmt.Sprintf(w.reference, m.ServerReference))
	}
	var excepted []string
	if m.ExceptLocal {
		excepted = append(excepted, w.local)
	}
	for _, p := range m.Allow {
		excepted = append(excepted, p.String())
	}
	if len(excepted) > 0 {
		parts = append(parts, fmt.Sprintf(w.excepts, strings.Join(excepted, ", ")))
	}
	if m.Message != "" {
		parts = append(parts, fmt.Sprintf(w.message, m.Message))
	}
	return strings.Join(parts, "; ")
}

func (l *Listener) text(w words) string {
	var b strings.Builder
	if l.Path != "" {
		fmt.Fprintf(&b, w.socket, l.Path)
	} else {
		var at []string
		for _, a := range l.Addresses {
			at = append(at, a.String())
		}
		b.WriteString(strings.Join(at, ", "))
	}
	b.WriteString("  " + l.Protocol)
	if l.TLS {
		b.WriteString(", tls")
	}
	limit := w.unlim
	if l.MaxConnections >= 0 {
		limit = fmt.Sprint(l.MaxConnections)
	}
	fmt.Fprintf(&b, "  %d / %s", l.Connections, limit)
	if l.Page {
		b.WriteString("  " + w.page)
	}
	return b.String()
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}
