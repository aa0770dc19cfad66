package setup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"picket/cause"
	"picket/reach"
)

// Print shows once what the first start made: the user, the password, what to enter on a phone, who can reach the broker, and
// on a terminal two QR codes: of the page for the phone's browser, and of the address for an app. On later starts it prints nothing. The
// password is in the second QR code too, as it stands beside it in plain. What does not go to a terminal stays in journals and log files, so there
// the password goes to a file of mode 0600 in the data directory, which the text names.
func (r *Result) Print(w io.Writer, lang cause.Lang, report reach.Report, terminal bool) error {
	if !r.First() {
		return nil
	}
	t := welcome[lang]
	var b strings.Builder
	if terminal {
		fmt.Fprintf(&b, t.user, User, r.Password, r.PasswordFile)
	} else {
		note, err := r.notePassword()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, t.noted, User, note, r.PasswordFile)
	}
	opening, addr, ok := report.Phone()
	switch {
	case ok && report.Container:
		// The addresses in here are not those that a phone can reach.
		ok = false
		fmt.Fprintf(&b, t.container, opening.Listener.Port)
	case ok:
		fmt.Fprintf(&b, t.phone, addr.Addr, opening.Listener.Port, r.CAFile)
		if others := others(opening, addr); len(others) > 0 {
			fmt.Fprintf(&b, t.others, strings.Join(others, t.comma))
		}
	default:
		b.WriteString(t.nophone)
	}
	b.WriteString("\n")
	for _, line := range report.Lines(lang) {
		b.WriteString(line.Text + "\n")
	}
	page, at, hasPage := report.PhonePage()
	if hasPage && !report.Container {
		link := page.PageURL(at.Addr)
		fmt.Fprintf(&b, t.page, link)
		if terminal {
			code, err := QRCode(link)
			if err != nil {
				return fmt.Errorf("QR code of %d characters: %w", len(link), err)
			}
			b.WriteString("\n" + code)
		}
	}
	if ok && terminal {
		address := opening.URL(addr, url.UserPassword(User, r.Password).String())
		code, err := QRCode(address)
		if err != nil {
			return fmt.Errorf("QR code of %d characters: %w", len(address), err)
		}
		fmt.Fprintf(&b, t.qr, code)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// notePassword writes the first password to a file for the owner of the data directory.
func (r *Result) notePassword() (file string, err error) {
	file = filepath.Join(r.Dir, noteFile)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) { // of an earlier first start
		return "", fmt.Errorf("noting the first password: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("noting the first password: %w", err)
	}
	_, err = f.WriteString(r.Password + "\n")
	return file, errors.Join(err, f.Close())
}

// others are the further addresses that a phone may try, with the interface each belongs to.
func others(o reach.Opening, best reach.Address) (list []string) {
	for _, a := range o.Addresses {
		if a != best && a.Scope > reach.Guests {
			list = append(list, fmt.Sprintf("%s (%s)", a.Addr, a.Interface))
		}
	}
	return list
}

type welcomeText struct{ user, noted, phone, page, others, container, nophone, qr, comma string }

var welcome = map[cause.Lang]welcomeText{
	cause.English: {
		user: `
Picket has made a user for clients on other machines. Clients on this machine need none.

    user      %s
    password  %s

Note the password down: only a hash of it is kept, and it is not shown again.
For another one: picket passwd %s picket
`,
		noted: `
Picket has made a user for clients on other machines. Clients on this machine need none.

    user      %s
    password  in the file %s

Note the password down and remove the file: apart from it only a hash is kept.
For another password: picket passwd %s picket
`,
		phone: `
On a phone in the same network, enter in any MQTT app:

    host      %s
    port      %d
    TLS       off; or on, once %s is installed on the phone
`,
		page:      "\nThe phone's browser can test it: %s\n",
		others:    "\nOther addresses, if that one does not work: %s\n",
		container: "\nOn a phone, enter the address of the machine that runs this container, and the port that it publishes for port %d.\n",
		nophone:   "\nNo phone can reach the broker: it listens on this machine only.\n",
		qr:        "\nFor an app, the address with user and password, to scan rather than type:\n\n%s\n",
		comma:     ", ",
	},
	cause.Chinese: {
		user: `
Picket 已为其他机器上的客户端创建了用户，本机客户端不需要密码。

    用户    %s
    密码    %s

请记下密码：系统只保存哈希，以后不会再显示。
需要更换时运行：picket passwd %s picket
`,
		noted: `
Picket 已为其他机器上的客户端创建了用户，本机客户端不需要密码。

    用户    %s
    密码    保存在文件 %s 中

请记下密码后删除该文件：除此之外系统只保存哈希。
需要更换时运行：picket passwd %s picket
`,
		phone: `
让手机连到同一网络，在任意 MQTT 应用中填写：

    主机    %s
    端口    %d
    TLS     关闭；若要打开，先在手机上安装 %s
`,
		page:      "\n也可以用手机浏览器测试：%s\n",
		others:    "\n如果上面的地址不通，可以试试：%s\n",
		container: "\n在手机上填写运行本容器的宿主机地址，以及它为端口 %d 映射的端口。\n",
		nophone:   "\n手机无法连接：服务端只监听本机。\n",
		qr:        "\n供 MQTT 应用扫描的二维码，内含地址、用户名和密码，不必手动输入：\n\n%s\n",
		comma:     "、",
	},
}
