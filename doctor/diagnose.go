package doctor

import (
	"fmt"
	"slices"

	"picket/cause"
	"picket/printable"
)

// maxFindings is how many findings a diagnosis gives: what is less likely than so many others does not help.
const maxFindings = 5

// Diagnose turns the facts of the client's side into findings, the best first, and says at which stage the way ends: empty when it goes
// through. It is pure: the same facts give the same findings.
func Diagnose(facts []Fact) (findings []Finding, end cause.Stage) {
	p := newPatient(facts)
	if end = Apply(facts, p, clientRules); end != "" && p.end != "" {
		end = p.end
	}
	p.beside(end)
	p.form(end)
	p.overridden(end)
	ranked := p.Conclude(end)
	if len(ranked) > 0 && ranked[0].Fit >= certain {
		ranked = slices.DeleteFunc(ranked, func(f Finding) bool { return f.Fit < unlikely })
	}
	return ranked[:min(len(ranked), maxFindings)], end
}

// beside: that one of several addresses does not open is a matter of its own, and not what ends the way of those who come by another.
func (p *patient) beside(end cause.Stage) {
	if end == "" || end == cause.Name || end == cause.TCP {
		return
	}
	for _, f := range p.Findings() {
		if (f.Cause == cause.IPv4OnlyListener || f.Cause == cause.DNSMissingOrStale || f.Cause == cause.HostFirewallDrop) && f.Fit >= likely && slices.ContainsFunc(f.Evidence, func(at int) bool {
			d, is := p.Facts[at].(Dial)
			return is && d.Purpose == Asked
		}) {
			f.Fit = likely
		}
	}
}

// clientRules are those about the client's way, in the order of the way.
var clientRules = []Rule[*patient]{
	{cause.Name, []string{"lookup", "address", "name-server"}, (*patient).name},
	{cause.FirstBytes, []string{"elsewhere"}, (*patient).elsewhere},
	{cause.TCP, []string{"conflict"}, (*patient).conflict},
	{cause.TCP, []string{"dial"}, (*patient).tcp},
	{cause.TLS, []string{"handshake"}, (*patient).tls},
	{cause.Upgrade, []string{"upgrade"}, (*patient).upgrade},
	{cause.Connect, []string{"connect"}, (*patient).connect},
	{cause.Use, []string{"subscribe", "publish"}, (*patient).use},
	{cause.Stay, nil, (*patient).stay},
}

// NewReport is the report about a target.
func NewReport(t Target, facts []Fact) *Report {
	r := &Report{Subject: t.URL(), Facts: facts, Way: true}
	r.Findings, r.End = Diagnose(facts)
	r.Remarks = remarks(facts)
	form := t.Form()
	if slices.ContainsFunc(facts, func(f Fact) bool { _, is := f.(Unfinished); return is }) {
		r.Failed = true
		r.Healthy = cause.Text{
			EN: "No fault was found in what could be tried; not everything could be tried in time.",
			ZH: "已完成的测试没有发现故障；但有些测试没能在时限内进行。",
		}
		return r
	}
	r.Healthy = cause.Text{
		EN: "No fault was found: a client with these settings connects, publishes and receives.\n" + form.EN,
		ZH: "没有发现故障：使用以下设置的客户端可以连接、发布和接收消息。\n" + form.ZH,
	}
	return r
}

// seen is a fact with its place in the report.
type seen[F Fact] struct {
	at   int
	fact F
}

// of gives the facts of one kind.
func of[F Fact](facts []Fact) (all []seen[F]) {
	for i, f := range facts {
		if f, ok := f.(F); ok {
			all = append(all, seen[F]{i, f})
		}
	}
	return all
}

// where gives those of the facts that fit.
func where[F Fact](all []seen[F], fits func(F) bool) (some []seen[F]) {
	for _, s := range all {
		if fits(s.fact) {
			some = append(some, s)
		}
	}
	return some
}

// places are the indices of facts, as evidence.
func places[F Fact](all []seen[F]) (at []int) {
	for _, s := range all {
		at = append(at, s.at)
	}
	return at
}

// patient is what is known, sorted by kind, and what has been found so far.
type patient struct {
	target     Entered
	targetAt   int
	client     *Client
	clientAt   int
	lookups    []seen[Lookup]
	addresses  []seen[Address]
	dials      []seen[Dial]
	around     []seen[Neighbours]
	pings      []seen[Ping]
	openings   []seen[Opening]
	handshakes []seen[Handshake]
	clocks     []seen[Clock]
	upgrades   []seen[Upgrade]
	connects   []seen[Connect]
	announced  []seen[Announced]
	subscribes []seen[Subscribe]
	publishes  []seen[Publish]
	ends       []seen[Ended]
	trips      []seen[RoundTrips]
	takeovers  []seen[Takeover]
	idles      []seen[Idle]

	*Case
	end cause.Stage // where the way ends, when that is another stage than the one at which it shows
}

func newPatient(facts []Fact) *patient {
	p := &patient{
		Case: &Case{Facts: facts}, targetAt: -1, lookups: of[Lookup](facts), addresses: of[Address](facts), dials: of[Dial](facts), around: of[Neighbours](facts), pings: of[Ping](facts), openings: of[Opening](facts),
		handshakes: of[Handshake](facts), clocks: of[Clock](facts), upgrades: of[Upgrade](facts), connects: of[Connect](facts),
		announced: of[Announced](facts), subscribes: of[Subscribe](facts), publishes: of[Publish](facts), ends: of[Ended](facts),
		trips: of[RoundTrips](facts), takeovers: of[Takeover](facts), idles: of[Idle](facts),
	}
	for _, e := range of[Entered](facts) {
		p.target, p.targetAt = e.fact, e.at
	}
	for _, c := range of[Client](facts) {
		p.client, p.clientAt = &c.fact, c.at
	}
	return p
}

// values fill the places of texts about the target.
func (p *patient) values() cause.Values {
	v := cause.Values{"host": p.target.Host, "port": fmt.Sprint(p.target.Port)}
	for _, c := range p.connects {
		if c.fact.User != "" {
			v["user"] = printable.ShellWord(c.fact.User)
		}
	}
	if len(p.addresses) > 0 {
		v["address"] = p.addresses[0].fact.Address
	}
	return v
}

// found adds a finding.
func (p *patient) found(id cause.ID, fit int, evidence []int, more ...detail) {
	f := Finding{Cause: id, Fit: fit, Values: p.values(), Evidence: evidence}
	for _, add := range more {
		add(&f)
	}
	p.Add(f)
}

// detail adds something to a finding.
type detail func(*Finding)

// meaning says what happens in this very case.
func meaning(t cause.Text) detail { return func(f *Finding) { f.Meaning = t } }

// means is meaning with the same arguments in both languages.
func means(en, zh string, args ...any) detail { return meaning(Say(en, zh, args...)) }

// not says why a neighbour is not the cause.
func not(id cause.ID, en, zh string) detail {
	return func(f *Finding) { f.RuledOut = append(f.RuledOut, RuledOut{id, cause.Text{EN: en, ZH: zh}}) }
}

// step adds lines to copy.
func step(title, lines cause.Text) detail {
	return func(f *Finding) { f.Steps = append(f.Steps, Step{title, lines}) }
}

// same is a text that both languages share.
func same(s string) cause.Text { return cause.Text{EN: s, ZH: s} }

// set fills a place of the catalogue's texts.
func set(place string, value any) detail {
	return func(f *Finding) { f.Values[place] = fmt.Sprint(value) }
}

// secure tells whether the URL promises TLS.
func (p *patient) secure() bool { return p.target.Scheme == "mqtts" || p.target.Scheme == "wss" }

// webSocket tells whether the URL promises WebSocket.
func (p *patient) webSocket() bool { return p.target.Scheme == "ws" || p.target.Scheme == "wss" }

// public tells whether the way to the target leads over the internet.
func (p *patient) public() bool {
	return slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Class == Public || a.fact.Class == Example })
}

// own tells whether the target is this machine, and near whether it is in a network of this machine.
func (p *patient) own() bool {
	return slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Own })
}

func (p *patient) near() bool {
	return slices.ContainsFunc(p.addresses, func(a seen[Address]) bool { return a.fact.Near != "" })
}

// form: what was typed had mistakes. An app does not correct them, so that is the cause, unless it fails for everyone.
func (p *patient) form(end cause.Stage) {
	if len(p.target.Mistakes) == 0 {
		return
	}
	fit := 95
	if end != "" {
		fit = 45
	}
	t := Target{Scheme: p.target.Scheme, Host: p.target.Host, Port: p.target.Port, Path: p.target.Path}
	p.found(cause.AppFormMistake, fit, []int{p.targetAt},
		means("The doctor has corrected the address; an app takes it as it stands and fails.", "诊断工具已自动改正地址；应用不会改正，会照原样使用而失败。"),
		step(cause.Text{EN: "Enter in the app", ZH: "在应用中填写"}, t.Form()))
}

// coded adds what a reason string of the broker says: nothing is more certain than the broker's own word.
func (p *patient) coded(id cause.ID, at int, reason, reference string) {
	more := []detail{}
	if _, rest, found := cutReason(reason); found {
		more = append(more, means("The broker says: %s", "服务端的说明：%s", rest))
	}
	if reference != "" {
		more = append(more, step(cause.Text{EN: "The server to use instead", ZH: "改用这台服务器"}, same(reference)))
	}
	if c, _ := cause.Lookup(id); c.Stage == cause.FirstBytes {
		p.end = cause.FirstBytes
	}
	if scheme := (map[cause.ID]string{
		cause.PlainToTLSPort: map[bool]string{false: "mqtts", true: "wss"}[p.webSocket()],
		cause.TCPToWSPort:    map[bool]string{false: "ws", true: "wss"}[p.secure()],
	}[id]); scheme != "" {
		more = append(more, p.instead(scheme))
	}
	p.found(id, 97, []int{at}, more...)
}

// cutReason takes the id off a reason string.
func cutReason(reason string) (id cause.ID, rest string, found bool) {
	if id = ReasonCause(reason); id == "" || len(reason) <= len(id)+2 {
		return id, "", false
	}
	return id, reason[len(id)+2:], true
}
