package admin

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"picket/broker"
	"picket/cause"
)

// Web is the listener for whoever runs the broker, as mosquitto 2.1 has it (protocol http_api), over plain HTTP:
//
//	GET /metrics  the broker's figures, for Prometheus
//	GET /healthz  200 as long as a restart would help nothing, else 503
//	GET /         the dashboard
//	    /api/v1/  what [WebOptions].API serves
//	GET /readyz   200 while clients are taken and served; else 503, and why. ?except=CAUSE leaves a cause out, several are separated by commas
//
// It is apart from the ports of clients: whoever floods those does not keep the operator out. It lives from [OpenWeb] to Close.
type Web struct {
	server *http.Server
	addr   netip.AddrPort
	done   chan struct{}
}

// WebOptions say what a [Web] serves.
type WebOptions struct {
	Address       string // HOST:PORT; an empty host stands for all addresses
	Version       string
	MetricsForAll bool // everyone may have the metrics

	API     http.Handler                                  // serves /api/v1/; nil: that is not served
	Page    func(http.ResponseWriter, *http.Request) bool // serves the dashboard's files, and reports false for other paths; nil: there are none
	Unready func() []cause.ID                             // what else keeps clients from being taken; nil: nothing
	Metrics func(r *http.Request) bool                    // whether a request from another machine may have the metrics all the same; nil: none may
}

// OpenWeb opens the listener. Who does not call from this machine gets the metrics only where the options say so, and is not told why the broker is not ready.
func OpenWeb(o WebOptions, b *broker.Broker) (*Web, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", o.Address)
	if err != nil {
		return nil, err
	}
	s := &Web{addr: ln.Addr().(*net.TCPAddr).AddrPort(), done: make(chan struct{})}
	s.server = &http.Server{Handler: webHandler(o, b), ReadTimeout: requestLimit, WriteTimeout: requestLimit, MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(&door{Listener: ln, free: make(chan struct{}, maxCallers)}) // it ends by Close only
	}()
	return s, nil
}

// webHandler answers the requests.
func webHandler(o WebOptions, b *broker.Broker) http.Handler {
	metrics := metricsHandler(b, o.Version)
	mux := http.NewServeMux()
	if o.API != nil {
		mux.Handle("/api/v1/", o.API)
	}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if !o.MetricsForAll && !Local(r) && (o.Metrics == nil || !o.Metrics(r)) {
			http.Error(w, "The metrics are for this machine. metrics_access everyone in the configuration opens them to all.", http.StatusForbidden)
			return
		}
		metrics.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !b.Alive() {
			http.Error(w, "An event loop stands still.", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n") // the caller may be gone
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		why := b.Unready()
		if o.Unready != nil {
			why = append(why, o.Unready()...)
		}
		ready(w, r, why)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if o.Page != nil && o.Page(w, r) {
			return
		}
		http.Error(w, "There is nothing here. GET /metrics, /healthz, /readyz and /api/v1/openapi.json are served.", http.StatusNotFound)
	})
	return named(mux)
}

// Addr is where it listens.
func (s *Web) Addr() netip.AddrPort { return s.addr }

// Close closes the socket and ends what is under way.
func (s *Web) Close() {
	_ = s.server.Close()
	<-s.done
}

// named refuses requests for a host name that is not this machine's: a page of another site can have a browser believe that its name leads here.
func named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && host != "localhost" && host != "" {
			http.Error(w, "Ask for this server by its address, or as localhost.", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

// Local tells whether a request comes from this machine.
func Local(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// ready answers whether clients are taken and served; why is what keeps them from that.
func ready(w http.ResponseWriter, r *http.Request, why []cause.ID) {
	except := strings.Split(r.URL.Query().Get("except"), ",")
	why = slices.DeleteFunc(why, func(id cause.ID) bool { return slices.Contains(except, string(id)) })
	if len(why) == 0 {
		_, _ = io.WriteString(w, "ready\n") // the caller may be gone
		return
	}
	lang := cause.English
	if strings.HasPrefix(r.Header.Get("Accept-Language"), "zh") {
		lang = cause.Chinese
	}
	text := "not ready\n"
	for _, id := range why {
		if c, ok := cause.Lookup(id); ok && Local(r) {
			text += fmt.Sprintf("%s: %s\n", id, c.Title.In(lang))
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, text)
}
