package doctor

import (
	"picket/cause"
)

// Elsewhere is that another address of the name, whose port is open too, answers otherwise than the one that the examination is about.
type Elsewhere struct {
	There Opening `json:"there"`
	Here  Opening `json:"here"`
}

func (Elsewhere) Kind() string       { return "elsewhere" }
func (Elsewhere) Stage() cause.Stage { return cause.FirstBytes }
func (Elsewhere) Outcome() Outcome   { return Bad }

func (e Elsewhere) Text() cause.Text {
	here, there := e.Here.answer(), e.There.answer()
	return cause.Text{
		EN: e.There.Address + " answers otherwise than " + e.Here.Address + ": " + there.EN + "; there: " + here.EN,
		ZH: e.There.Address + " 与 " + e.Here.Address + " 的应答不同：前者" + there.ZH + "；后者" + here.ZH,
	}
}

// answer is what was heard, in words.
func (o Opening) answer() cause.Text {
	t := heardTexts[o.Heard]
	if o.Heard == HearMQTT {
		code := codeName("3.1.1", o.Status)
		t = cause.Text{EN: t.EN + " (" + code.EN + ")", ZH: t.ZH + "（" + code.ZH + "）"}
	}
	return t
}

// serves tells whether a broker answers.
func (o Opening) serves() bool { return o.Heard == HearMQTT || o.Heard == HearWebSocket }

// elsewhere: which of the name's addresses a client comes to is a matter of luck, and they are not alike.
func (p *patient) elsewhere() bool {
	for _, e := range of[Elsewhere](p.Facts) {
		here, there, at := e.fact.Here, e.fact.There, []int{e.at}
		luck := means("%s has several addresses. %s and %s answer differently at port %d, so that clients fail from time to time, depending on which address they take.",
			"%s 有多个地址。%s 与 %s 的端口 %d 应答不同，因此客户端时好时坏，取决于用到哪个地址。", p.target.Host, there.Address, here.Address, there.Port)
		stale := func(fit int) { p.found(cause.DNSMissingOrStale, fit, at, set("address", there.Address), luck) }
		switch {
		case !here.serves() && there.serves():
			p.found(cause.DNSMissingOrStale, 62, at, set("address", here.Address), luck)
		case !here.serves() || there.Heard == HearRefused:
			p.Settle(e.at) // neither leads to a broker, which is told of the one; or it was no answer
		case there.Said == SayLogin && there.Heard == HearMQTT && here.Status == 0 && (there.Status == 4 || there.Status == 5):
			p.found(cause.BadCredentials, 74, at, set("address", there.Address), luck,
				means("At %s this user and password are taken, at %s they are not: two brokers with users of their own.", "在 %s 这个用户名和密码有效，在 %s 则无效：是两个各有用户的服务端。", here.Address, there.Address))
			stale(66)
		case there.Heard == HearMQTT && here.Status == 0 && (there.Status == 4 || there.Status == 5):
			p.found(cause.AnonymousRefused, 74, at, set("address", there.Address), luck,
				means("At %s clients without a user name are let in, at %s they are not: two brokers, or two listeners with rules of their own.", "在 %s 匿名客户端可以登录，在 %s 则不行：是两个服务端，或同一服务端的两个监听各有规则。", here.Address, there.Address))
			p.found(cause.PortTaken, 60, at, luck)
		case there.Heard == HearSilence:
			p.found(cause.BrokerSilent, 74, at, luck)
			stale(62)
		case there.Heard == HearClosed || there.Heard == HearReset:
			stale(72)
			p.found(cause.PortTaken, 56, at, luck)
		default:
			p.found(cause.PortTaken, 74, at, luck)
			stale(66)
		}
	}
	return false
}
