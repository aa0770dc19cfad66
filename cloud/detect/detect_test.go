package detect

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/cloud"
)

func texts(all []netip.Addr) (words []string) {
	for _, a := range all {
		words = append(words, a.String())
	}
	return words
}

// Every cloud's service is asked its own way. None of the real ones is contacted.
func TestMetadataServices(t *testing.T) {
	for _, c := range []struct {
		cloud, path, needs, answer string
		want                       []string
	}{
		{"alibaba", "/latest/meta-data/eipv4", "", "192.0.2.77\n", []string{"192.0.2.77"}},
		{"tencent", "/latest/meta-data/public-ipv4", "", "192.0.2.77", []string{"192.0.2.77"}},
		{"huawei", "/latest/meta-data/public-ipv4", "", "192.0.2.77", []string{"192.0.2.77"}},
		{"aws", "/latest/meta-data/public-ipv4", "X-Aws-Ec2-Metadata-Token: secret", "192.0.2.77", []string{"192.0.2.77"}},
		{"google", "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip", "Metadata-Flavor: Google", "192.0.2.77", []string{"192.0.2.77"}},
		{"azure", "/metadata/instance/network", "Metadata: true", `{"interface":[{"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.0.4","publicIpAddress":"192.0.2.77"}]}}]}`, []string{"192.0.2.77"}},
		{"azure", "/metadata/instance/network", "Metadata: true", `{"interface":[{"ipv4":{"ipAddress":[{"privateIpAddress":"10.0.0.4","publicIpAddress":""}]}}]}`, nil},
		{"digitalocean", "/metadata/v1/interfaces/public/0/ipv4/address", "", "192.0.2.77", []string{"192.0.2.77"}},
		{"hetzner", "/hetzner/v1/metadata/public-ipv4", "", "192.0.2.77", []string{"192.0.2.77"}},
		{"volcengine", "/latest/eip_address", "", "192.0.2.77", []string{"192.0.2.77"}},
		{"scaleway", "/conf", "", `{"private_ip":"10.1.2.3","public_ip":{"address":"192.0.2.77","gateway":null},"public_ips":[{"address":"192.0.2.77"}]}`, []string{"192.0.2.77"}},
		{"openstack", "/latest/meta-data/public-ipv4", "", "", nil},
		{"huawei", "/elsewhere", "", "", nil}, // it answers, and has no such thing
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "" {
				w.Write([]byte("secret"))
				return
			}
			name, value, _ := strings.Cut(c.needs, ": ")
			if r.URL.Path != c.path || c.needs != "" && r.Header.Get(name) != value {
				http.NotFound(w, r)
				return
			}
			w.Write([]byte(c.answer))
		}))
		got, err := Detector{Metadata: server.URL}.Public(t.Context(), c.cloud)
		if err != nil || !slices.Equal(texts(got), c.want) {
			t.Errorf("%s: got %v, %v, want %v", c.cloud, got, err, c.want)
		}
		server.Close()
	}
	nobody := Detector{Metadata: "http://127.0.0.1:1"}
	if _, err := nobody.Public(t.Context(), "tencent"); err == nil {
		t.Error("a service that is not there answers")
	}
	if _, err := nobody.Public(t.Context(), "oracle"); !errors.Is(err, ErrNoService) {
		t.Errorf("Oracle: %v", err)
	}
	// One that never answers is given up.
	stop := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stop }))
	if _, err := (Detector{Metadata: silent.URL}).Public(t.Context(), "tencent"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that never answers: %v", err)
	}
	close(stop)
	silent.Close()
}

// What the firmware says decides, and every cloud that can be found has a name and a place in its console, in both languages.
func TestCloud(t *testing.T) {
	for _, c := range []struct{ file, says, want string }{
		{"sys_vendor", "Alibaba Cloud", "alibaba"},
		{"product_name", "OpenStack Nova", "openstack"},
		{"chassis_asset_tag", "HUAWEICLOUD", "huawei"},
		{"sys_vendor", "QEMU", ""},
		{"sys_vendor", "Microsoft Corporation", ""},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, "sys/class/dmi/id")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.says+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := (Detector{Root: root}).Cloud(); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.file, c.says, got, c.want)
		}
	}
	for _, f := range firmware {
		p, ok := cloud.Lookup(f.cloud)
		if !ok || p.Name.EN == "" || p.Name.ZH == "" || p.Console.EN == "" || p.Console.ZH == "" {
			t.Errorf("%s: %+v", f.cloud, p)
		}
	}
	for id := range services {
		if _, ok := cloud.Lookup(id); !ok {
			t.Errorf("%s has a service and no entry", id)
		}
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("192.0.2.1\n2001:db8::1")
	f.Add(`{"public_ip":{"address":"192.0.2.77"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, a := range addresses(text) {
			if !a.IsValid() || a.IsUnspecified() {
				t.Errorf("%q: %v", text, a)
			}
		}
	})
}
