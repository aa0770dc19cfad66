package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/proxy"

	"picket/packet"
)

// Transport says how to reach a server.
type Transport struct {
	// URL names the server: mqtt://HOST[:1883], mqtts://HOST[:8883], ws://HOST[:80]/PATH, wss://HOST[:443]/PATH or unix:///PATH.
	// Users and passwords in it are not used.
	URL string
	// TLS is for mqtts and wss; nil trusts the system's authorities. The server's name is taken from URL unless it is set here.
	TLS *tls.Config
	// LocalAddress is the local host name or address to connect from; empty leaves it to the system.
	LocalAddress string
	// Proxy is a SOCKS5 proxy, socks5h://[USER[:PASSWORD]@]HOST[:1080], which also resolves the server's name. Empty for none.
	Proxy string
	// Header is added to the WebSocket handshake.
	Header http.Header
	// Dial makes the network connection to a host and port or a Unix socket in place of LocalAddress and Proxy, when it is not nil.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

var defaultPorts = map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}

// Connect makes the connection that MQTT is spoken over: over WebSocket, each write is one frame. v chooses the name of the subprotocol. ctx bounds the handshakes alone.
func (t *Transport) Connect(ctx context.Context, v packet.Version) (net.Conn, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, fmt.Errorf("server address: %w", err)
	}
	if u.Scheme == "unix" {
		if u.Path == "" {
			return nil, fmt.Errorf("server address %q has no path; unix:///PATH is expected", t.URL)
		}
		if t.Dial != nil {
			return t.Dial(ctx, "unix", u.Path)
		}
		return new(net.Dialer).DialContext(ctx, "unix", u.Path)
	}
	port, known := defaultPorts[u.Scheme]
	if !known || u.Hostname() == "" {
		return nil, fmt.Errorf("server address %q is not of the form SCHEME://HOST[:PORT] with mqtt, mqtts, ws or wss, nor unix:///PATH", u.Redacted())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	conn, err := t.tcp(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if u.Scheme == "mqtts" || u.Scheme == "wss" {
		secure := tls.Client(conn, t.tlsConfig(u.Hostname()))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, &TLSError{err}
		}
		conn = secure
	}
	if u.Scheme == "ws" || u.Scheme == "wss" {
		upgraded, err := t.upgrade(ctx, conn, u, v)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = upgraded
	}
	return conn, nil
}

// TLSError is a TLS handshake that failed.
type TLSError struct{ Err error }

func (e *TLSError) Error() string { return "TLS handshake: " + e.Err.Error() }

// Unwrap is the error of package tls.
func (e *TLSError) Unwrap() error { return e.Err }

// tcp connects to host:port, through the proxy if there is one.
func (t *Transport) tcp(ctx context.Context, addr string) (net.Conn, error) {
	if t.Dial != nil {
		return t.Dial(ctx, "tcp", addr)
	}
	dialer := &net.Dialer{}
	if t.LocalAddress != "" {
		local, err := net.DefaultResolver.LookupIPAddr(ctx, t.LocalAddress)
		if err != nil {
			return nil, fmt.Errorf("local address: %w", err)
		}
		dialer.LocalAddr = &net.TCPAddr{IP: local[0].IP, Zone: local[0].Zone}
	}
	if t.Proxy == "" {
		return dialer.DialContext(ctx, "tcp", addr)
	}
	u, err := url.Parse(t.Proxy)
	if err != nil || u.Scheme != "socks5h" || u.Hostname() == "" {
		return nil, errors.New("proxy is not of the form socks5h://[USER[:PASSWORD]@]HOST[:PORT]")
	}
	port := u.Port()
	if port == "" {
		port = "1080"
	}
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	socks, err := proxy.SOCKS5("tcp", net.JoinHostPort(u.Hostname(), port), auth, dialer)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	conn, err := socks.(proxy.ContextDialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, &ProxyError{err}
	}
	return conn, nil
}

// ProxyError is a connection that could not be made through the SOCKS5 proxy.
type ProxyError struct{ Err error }

func (e *ProxyError) Error() string { return "proxy: " + e.Err.Error() }

// Unwrap is what the proxy, or the way to it, did.
func (e *ProxyError) Unwrap() error { return e.Err }

func (t *Transport) tlsConfig(host string) *tls.Config {
	config := &tls.Config{}
	if t.TLS != nil {
		config = t.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}
