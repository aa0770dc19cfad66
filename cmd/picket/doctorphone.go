package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/admin"
	"picket/cause"
	"picket/listener"
	"picket/reach"
	"picket/setup"
)

// phoneLimit bounds one look at one address. It is on this machine or near.
const phoneLimit = 3 * time.Second

// findPhone finds out where the page of a broker is for a phone: of the one that address names, else of the one on this machine.
func findPhone(ctx context.Context, address string, lang cause.Lang) (*setup.Phone, cause.Values, error) {
	host, err := reach.ThisHost()
	if err != nil {
		return nil, nil, err
	}
	if address != "" {
		u, err := pageAddress(address)
		if err != nil {
			return nil, nil, err
		}
		if addr, _ := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && !addr.IsLoopback() && !addr.IsUnspecified() { // a name is no such address
			return elsewhere(ctx, u), cause.Values{"host": u.Hostname(), "port": u.Port()}, nil
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, nil, err
		}
		return here(ctx, u.Scheme, port, host, lang), cause.Values{"port": u.Port()}, nil
	}
	ctl := adminFlags{Socket: os.Getenv("PICKET_SOCKET")}
	broker, err := ctl.dial(&env{ctx: ctx})
	if missing := (*admin.NotFoundError)(nil); errors.As(err, &missing) {
		// A broker with a configuration need not have an admin socket: see whether one is at MQTT's own port.
		return here(ctx, "http", 1883, host, lang), cause.Values{"port": "1883"}, nil
	} else if err != nil {
		return nil, nil, err
	}
	s, err := broker.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	return told(ctx, s, host, lang), nil, nil
}

// pageAddress reads an address as people write it: a URL, HOST or HOST:PORT. The result is http or https, with a port.
func pageAddress(address string) (*url.URL, error) {
	if !strings.Contains(address, "://") {
		address = "mqtt://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, &usageError{text: fmt.Sprintf("%q is no address: write HOST, HOST:PORT or a URL such as mqtt://192.168.1.20:1883", address)}
	}
	known := map[string][2]string{"mqtt": {"http", "1883"}, "ws": {"http", "80"}, "http": {"http", "80"}, "mqtts": {"https", "8883"}, "wss": {"https", "443"}, "https": {"https", "443"}}
	k, ok := known[u.Scheme]
	if !ok {
		return nil, &usageError{text: fmt.Sprintf("%s:// is no scheme of a broker: want mqtt, mqtts, ws, wss, http or https", u.Scheme)}
	}
	port := u.Port()
	if port == "" {
		port = k[1]
	}
	return &url.URL{Scheme: k[0], Host: net.JoinHostPort(u.Hostname(), port), Path: "/"}, nil
}

// elsewhere looks at a page on another machine, or at another machine's view of this one.
func elsewhere(ctx context.Context, u *url.URL) *setup.Phone {
	p := &setup.Phone{URL: u.String()}
	if p.Cause, p.Seen = lookAt(ctx, u.String()); p.Cause == "" {
		p.Tested = true
	} else {
		p.App = "mqtt://" + u.Host
		// A public address of this machine's router often cannot be reached from behind it: a phone elsewhere may well get there.
		if a, err := netip.ParseAddr(u.Hostname()); p.Cause == cause.BrokerNotRunning && (err != nil || a.IsGlobalUnicast() && !a.IsPrivate()) {
			p.Cause = cause.HairpinNAT
		} else {
			p.URL = ""
		}
	}
	return p
}

// here looks for a page at a port of this machine: at each of its addresses, since it is not known what the broker listens on.
func here(ctx context.Context, scheme string, port int, host reach.Host, lang cause.Lang) *setup.Phone {
	c := &listener.Config{Port: port, Protocol: listener.Auto}
	if scheme == "https" {
		c.Protocol, c.TLS.CertFile = listener.WebSocket, "its own"
	}
	o := reach.Of([]reach.Door{{Listener: c, Page: true}}, host).Openings[0]
	p := tryAddresses(ctx, []reach.Opening{o})
	if p.URL != "" {
		return p
	}
	local := &url.URL{Scheme: scheme, Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/"}
	switch id, seen := lookAt(ctx, local.String()); id {
	case "":
		p.Cause, p.Seen = cause.LoopbackOnly, local.String()+" answers, the machine's other addresses do not"
	default:
		p.Cause, p.Seen = id, seen
	}
	return p
}

// told takes the listeners from the broker itself.
func told(ctx context.Context, s *admin.Status, host reach.Host, lang cause.Lang) *setup.Phone {
	r := reach.Of(statusDoors(s), host)
	var pages []reach.Opening
	for _, o := range r.Openings {
		if o.Page {
			pages = append(pages, o)
		}
	}
	p := tryAddresses(ctx, pages)
	o, addr, ok := r.Phone()
	switch {
	case p.URL != "":
	case !ok:
		p.Cause, p.Seen = cause.LoopbackOnly, ""
	case !s.Page:
		p.Cause, p.App = cause.PageNotBuilt, o.URL(addr, "")
	case len(pages) == 0:
		p.Seen = "no listener serves the page: it needs protocol auto or websockets, no http_dir, and not phone_page false"
		p.Cause, p.App = cause.WSToTCPPort, o.URL(addr, "")
	}
	for _, line := range r.Lines(lang) {
		p.Reach = append(p.Reach, line.Text)
	}
	return p
}

// statusDoors are the listeners of a running broker.
func statusDoors(s *admin.Status) (all []reach.Door) {
	kinds := map[string]listener.Protocol{"mqtt": listener.MQTT, "websockets": listener.WebSocket, "auto": listener.Auto}
	who := map[string]access.Anonymous{"local": access.AnonymousLocal, "true": access.AnonymousAlways}
	for _, l := range s.Listeners {
		c := &listener.Config{Port: l.Port, Address: l.Address, Interface: l.Interface, Domain: l.Domain, Path: l.Path, Protocol: kinds[l.Protocol], TLS: listener.TLS{CertFile: l.CertFile}}
		all = append(all, reach.Door{Listener: c, Anonymous: who[l.Anonymous], Limited: l.Limited, NoUsers: l.NoUsers, Page: l.Page})
	}
	return all
}

// tryAddresses fetches the page at each address that a phone may reach, the likeliest first.
func tryAddresses(ctx context.Context, openings []reach.Opening) *setup.Phone {
	p := new(setup.Phone)
	for _, o := range openings {
		for _, a := range o.Addresses {
			if a.Scope < reach.VPN {
				continue
			}
			link := o.PageURL(a.Addr)
			id, seen := lookAt(ctx, link)
			switch {
			case id != "" && p.URL == "":
				p.Cause, p.Seen = id, seen
			case id != "":
			case p.URL == "":
				p.URL, p.Tested, p.Cause, p.Seen = link, true, "", ""
			default:
				p.Others = append(p.Others, link)
			}
		}
	}
	return p
}

// lookAt fetches a page and says what is wrong with it; an empty cause is nothing. Whose certificate it is does not matter here.
func lookAt(ctx context.Context, link string) (cause.ID, string) {
	ctx, cancel := context.WithTimeout(ctx, phoneLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return cause.BrokerNotRunning, err.Error()
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy, tr.DisableKeepAlives = nil, true // a phone uses no proxy of this machine's
	tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return cause.BrokerNotRunning, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case err != nil:
		return cause.ConnectionLost, err.Error()
	case res.StatusCode == http.StatusOK && strings.Contains(string(body), `id="stages"`):
		return "", ""
	case strings.Contains(string(body), "MQTT over WebSocket"):
		return cause.PageNotBuilt, link + " answers that it speaks MQTT over WebSocket; either it has no page, or phone_page is false"
	case strings.Contains(string(body), "This port speaks MQTT"):
		return cause.WSToTCPPort, link + " answers that it speaks MQTT only"
	}
	return cause.WSToTCPPort, fmt.Sprintf("%s answers with %s, which is not Picket's page", link, res.Status)
}

// doctorPhone is "picket doctor --phone".
type doctorPhone struct {
	URL string `arg:"" optional:"" help:"The broker: HOST, HOST:PORT or a URL (default: the one that runs on this machine)." zh:"服务端：HOST、HOST:PORT 或 URL（默认：本机正在运行的服务端）。"`
	doctorStyle
}

func (doctorPhone) details() details {
	return details{
		Text: cause.Text{EN: `Says which address a phone has to open, draws it as a QR code to scan, and says when a phone cannot get there. Whatever stands beyond this machine,
such as a firewall, cannot be seen from here.

Exit status: 0 when the page answers at that address, 1 when there is none for a phone.`, ZH: `给出手机应打开的地址，并画成可以扫描的二维码；手机到不了那里时也会说明。本机以外的情况（例如防火墙）从这里看不到。

退出状态：测试页在该地址有应答为 0，没有可供手机打开的测试页为 1。`},
		examples: `picket doctor --phone
picket doctor --phone 192.168.1.20:1883
picket doctor --phone https://mqtt.example.com`,
	}
}

// Run prints the address and the QR code.
func (c *doctorPhone) Run(e *env) error {
	p, values, err := findPhone(e.ctx, c.URL, e.lang())
	if err != nil {
		return err
	}
	if c.JSON {
		out := json.NewEncoder(e.stdout)
		out.SetIndent("", "  ")
		err = out.Encode(p)
	} else {
		err = p.Print(e.stdout, e.lang(), values)
	}
	if err == nil && !p.Tested {
		return &statusError{status: statusFailure}
	}
	return err
}
