package doctor

import (
	"strings"

	"picket/cause"
)

// How long certificates may be valid before iPhones refuse them, in days: any, and those of public authorities.
const (
	longestPrivate = 825
	longestPublic  = 398
)

// remarks are what a phone may not take although this machine does, and what others can listen in to.
func remarks(facts []Fact) (all []cause.Text) {
	public, plain := false, false
	if mounted := where(of[Publish](facts), func(p Publish) bool { return p.mounted() }); len(mounted) > 0 {
		f := mounted[0].fact
		all = append(all, Say("Messages published to %s come under the topic %s: the listener has a mount point (mount_point), which mosquitto 2.0 leaves in the topics that clients get. Programs that compare topics have to know it.", "发布到 %s 的消息收到时主题是 %s：该监听设置了挂载点（mount_point），mosquitto 2.0 发给客户端的主题会带着它。会比较主题的程序需要考虑这一点。", f.Topic, f.Came.Topic))
	}
	if families := of[Lookup](facts); len(families) > 0 && len(where(families, func(l Lookup) bool { return l.Record == "A" && l.Result == None })) > 0 && len(where(families, func(l Lookup) bool { return l.Record == "AAAA" && l.Result == Found })) > 0 {
		all = append(all, Say("%s has an IPv6 address only: clients in networks without IPv6, which many companies and older devices have, cannot connect.", "%s 只有 IPv6 地址：没有 IPv6 的网络（不少公司网络）和旧设备无法连接。", families[0].fact.Host))
	}
	for _, f := range facts {
		switch f := f.(type) {
		case Entered:
			plain = f.Scheme == "mqtt" || f.Scheme == "ws"
		case Address:
			public = public || f.Class == Public && !f.Own && f.Near == ""
		case Handshake:
			if f.Variant == WithoutTLS13 && f.Result == Alerted && f.Alert == 70 {
				all = append(all, Say("The server takes TLS 1.3 alone: phones before Android 10 and iOS 12.2 and many small devices (older ESP32 and modem firmware) do not have it. In mosquitto and Picket “tls_version tlsv1.2” allows TLS 1.2 as well.",
					"服务端只支持 TLS 1.3：Android 10、iOS 12.2 之前的手机和许多小型设备（旧的 ESP32、通信模组固件）不支持。在 mosquitto 和 Picket 中，tls_version tlsv1.2 表示同时允许 TLS 1.2。"))
			}
			if f.Variant == Plainly && f.Result == Done && len(f.Chain) > 0 {
				all = append(all, f.forPhones()...)
			}
		case Connect:
			if f.Password && public && plain {
				all = append(all, Say("The user name and the password travel over the internet without TLS: whoever is on the way can read and use them. Use mqtts:// or wss://.",
					"用户名和密码在公网上未加密传输：途中任何人都能读取并冒用。请改用 mqtts:// 或 wss://。"))
				public = false // once is enough
			}
		}
	}
	return all
}

// forPhones are the remarks about a certificate and a version of TLS.
func (h Handshake) forPhones() (all []cause.Text) {
	leaf := h.Chain[0]
	days, limit := (leaf.NotAfter-leaf.NotBefore)/86400, int64(longestPublic)
	if h.Roots != "" || len(h.Problems) > 0 {
		limit = longestPrivate
	}
	if days > limit {
		all = append(all, Say("The certificate is valid for %d days; iPhones refuse more than %d.", "证书有效期为 %d 天；iPhone 拒绝超过 %d 天的证书。", days, limit))
	}
	switch {
	case leaf.Key == "Ed25519":
		all = append(all, Say("The certificate's key is Ed25519, which iPhones, browsers and most small devices do not take; ECDSA P-256 is taken everywhere.", "证书使用 Ed25519 密钥，iPhone、浏览器和多数小型设备不支持；ECDSA P-256 则普遍支持。"))
	case strings.HasPrefix(leaf.Key, "RSA ") && len(leaf.Key) == len("RSA 1024") && leaf.Key < "RSA 2048":
		all = append(all, Say("The certificate's key is %s; phones refuse RSA below 2048 bits.", "证书密钥为 %s；手机拒绝 2048 位以下的 RSA。", leaf.Key))
	}
	return all
}
