// Package host says why clients cannot reach the broker on this machine, seen from the machine itself: which sockets listen, what
// the firewall lets in, whether the configuration that was written is the one in use, whether certificates, files, memory and clock are
// well. [Diagnose] turns the facts, which package doctor/host/gather collects, into findings.
//
// What lies beyond the machine, such as a cloud's security group, cannot be seen from it. With a probe on another machine the facts have
// what ports look like from there, and the findings tell "closed from outside" from "closed here".
package host

import (
	"slices"
	"strconv"
	"strings"

	"picket/cause"
	"picket/doctor"
)

// Healthy is what to say when there is nothing to find.
var Healthy = cause.Text{
	EN: "Nothing on this machine keeps clients from the broker.",
	ZH: "本机上没有发现妨碍客户端连接的问题。",
}

// HealthyHereOnly is what to say when nothing was found and nobody looked from outside.
var HealthyHereOnly = cause.Text{
	EN: "Nothing on this machine keeps clients from the broker. Whether something on the way does (a cloud's security group, a router) cannot be seen from here: run `picket echo serve --probe` on another machine, and `picket doctor --server --from` that machine.",
	ZH: "本机上没有发现妨碍客户端连接的问题。路上是否有阻挡（云安全组、路由器）从本机看不到：在另一台机器上运行 `picket echo serve --probe`，再用 `picket doctor --server --from 那台机器`。",
}

// HealthyNoVantage is what to say when nothing was found, and the view from outside that was asked for failed.
var HealthyNoVantage = cause.Text{
	EN: "Nothing on this machine keeps clients from the broker, seen from here. The ports could not be tried from outside; the reason stands above.",
	ZH: "从本机看，没有发现妨碍客户端连接的问题。未能从外部测试端口，原因见上。",
}

// join puts texts one behind the other, each language with its own separator.
func join(en, zh string, parts ...cause.Text) cause.Text {
	var inEnglish, inChinese []string
	for _, p := range parts {
		if p.EN != "" {
			inEnglish = append(inEnglish, p.EN)
			inChinese = append(inChinese, p.ZH)
		}
	}
	return cause.Text{EN: strings.Join(inEnglish, en), ZH: strings.Join(inChinese, zh)}
}

func outcome(good bool) doctor.Outcome {
	if good {
		return doctor.Good
	}
	return doctor.Bad
}

// Unread is something that could not be looked at.
type Unread struct {
	What string `json:"what"` // "firewall", "processes", ...
	Why  string `json:"why"`  // in the system's words
	// Root says that root may.
	Root bool `json:"root"`
}

func (Unread) Kind() string { return "unread" }

func (u Unread) Stage() cause.Stage {
	switch u.What {
	case "metadata", "addresses", "vantage":
		return cause.Name
	case "firewall", "vantage-way", "kernel-figures":
		return cause.TCP
	case "certificates":
		return cause.TLS
	}
	return cause.Server
}

func (Unread) Outcome() doctor.Outcome { return doctor.Note }

// whats names what can be unread.
var whats = map[string]cause.Text{
	"rest":           {EN: "What is left", ZH: "其余部分"},
	"firewall":       {EN: "The firewall's rules", ZH: "防火墙规则"},
	"processes":      {EN: "Other users' processes and their sockets", ZH: "其他用户的进程及其套接字"},
	"system":         {EN: "This system's sockets and processes", ZH: "本系统的套接字和进程"},
	"kernel-log":     {EN: "The kernel's log", ZH: "内核日志"},
	"broker-log":     {EN: "The broker's log", ZH: "服务端日志"},
	"metadata":       {EN: "The cloud's metadata service", ZH: "云平台元数据服务"},
	"docker":         {EN: "Docker", ZH: "Docker"},
	"service":        {EN: "The service manager", ZH: "服务管理器"},
	"clock":          {EN: "The clock's state", ZH: "时钟状态"},
	"limits":         {EN: "The broker's limits", ZH: "服务端进程的限制"},
	"configuration":  {EN: "The broker's configuration", ZH: "服务端配置"},
	"passwords":      {EN: "The broker's password file", ZH: "服务端的密码文件"},
	"vantage":        {EN: "The view from outside", ZH: "外部视角"},
	"vantage-way":    {EN: "The ports from outside, and the way to the probe,", ZH: "从外部看到的端口和到探测点的线路"},
	"denials":        {EN: "The audit log", ZH: "审计日志"},
	"resources":      {EN: "Memory and disk", ZH: "内存与磁盘"},
	"addresses":      {EN: "The machine's addresses", ZH: "本机地址"},
	"wrappers":       {EN: "TCP wrappers' files", ZH: "TCP wrappers 的文件"},
	"certificates":   {EN: "The broker's certificates", ZH: "服务端证书"},
	"kernel-figures": {EN: "The kernel's figures", ZH: "内核统计"},
}

func (u Unread) Text() cause.Text {
	what, ok := whats[u.What]
	if !ok {
		what = cause.Text{EN: u.What, ZH: u.What}
	}
	t := join("", "", what, doctor.Say(" cannot be read: %s", "无法读取：%s", u.Why))
	if strings.HasPrefix(u.What, "vantage") {
		t = join("", "", what, doctor.Say(" cannot be had: %s", "无法获得：%s", u.Why))
	}
	if u.Root {
		t = join("", "", t, doctor.Say("; run this as root (sudo) to see them", "；请用 root（sudo）运行"))
	}
	return t
}

// facts finds facts of one type, with their places in the list.
func facts[T doctor.Fact](all []doctor.Fact) (found []T, at []int) {
	for i, f := range all {
		if one, ok := f.(T); ok {
			found = append(found, one)
			at = append(at, i)
		}
	}
	return found, at
}

func portText(ports []int) string {
	var all []string
	for _, p := range ports {
		all = append(all, strconv.Itoa(p))
	}
	return strings.Join(all, ", ")
}

func unique[T comparable](all []T) (kept []T) {
	for _, v := range all {
		if !slices.Contains(kept, v) {
			kept = append(kept, v)
		}
	}
	return kept
}

// NewReport is the report about a machine. vantage says that the view from outside was asked for.
func NewReport(name string, all []doctor.Fact, vantage bool) *doctor.Report {
	r := &doctor.Report{Subject: name, Facts: all, Findings: Diagnose(all), Healthy: Healthy}
	unread, _ := facts[Unread](all)
	if slices.ContainsFunc(unread, func(u Unread) bool { return u.What == "rest" }) {
		r.Failed = true
	}
	switch outside := FromOutside(all); {
	case !outside && vantage:
		r.Healthy, r.Failed = HealthyNoVantage, true
	case !outside:
		r.Healthy = HealthyHereOnly
	}
	return r
}
