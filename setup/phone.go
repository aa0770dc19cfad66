package setup

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"picket/cause"
)

// Phone is what a person needs to open the broker's page on a phone.
type Phone struct {
	URL    string   `json:"url,omitempty"`    // the page's address for the phone; empty: there is none
	Others []string `json:"others,omitempty"` // further ones that may work
	App    string   `json:"app,omitempty"`    // the broker's address for an app, where there is no page
	// Tested: the page was fetched from this machine at URL.
	Tested bool     `json:"tested"`
	Cause  cause.ID `json:"cause,omitempty"` // why a phone does not get to the page; empty: nothing is known to be in the way
	Seen   string   `json:"seen,omitempty"`  // what was seen of that, in English
	Reach  []string `json:"reach,omitempty"` // who can reach the broker, in sentences
}

// phoneText are the texts of one language.
type phoneText struct{ open, others, tested, app, why, remedy, seen, comma string }

var phoneTexts = map[cause.Lang]phoneText{
	cause.English: {
		open:   "Open this on a phone that is in the same network, or scan the code:\n\n    %s\n\n",
		others: "Other addresses, if that one does not work: %s\n",
		tested: "The page answers there, as seen from this machine.\n",
		app:    "In an MQTT app, enter: %s\n",
		why:    "%s  [%s]\n", remedy: "What to do: %s\n", seen: "Seen: %s\n", comma: ", ",
	},
	cause.Chinese: {
		open:   "让手机连到同一网络，打开下面的地址，或扫描二维码：\n\n    %s\n\n",
		others: "如果上面的地址不通，可以试试：%s\n",
		tested: "从本机访问，该页面有应答。\n",
		app:    "在 MQTT 应用中填写：%s\n",
		why:    "%s  [%s]\n", remedy: "处理办法：%s\n", seen: "观察到：%s\n", comma: "、",
	},
}

// Print shows the address, its QR code, and what is in the way. The code is drawn with colours, for a terminal or a picture of one.
func (p *Phone) Print(w io.Writer, lang cause.Lang, values cause.Values) error {
	t := phoneTexts[lang]
	var b strings.Builder
	if p.URL != "" {
		code, err := QRCode(p.URL)
		if err != nil {
			return fmt.Errorf("QR code of %d characters: %w", len(p.URL), err)
		}
		fmt.Fprintf(&b, t.open, p.URL)
		b.WriteString(code + "\n")
		if p.Tested {
			b.WriteString(t.tested)
		}
		if len(p.Others) > 0 {
			fmt.Fprintf(&b, t.others, strings.Join(p.Others, t.comma))
		}
	}
	if c, ok := cause.Lookup(p.Cause); ok {
		remedy, err := c.Remedy.Render(lang, values)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, t.why, upper(c.Title.In(lang)), c.ID)
		if p.Seen != "" {
			fmt.Fprintf(&b, t.seen, p.Seen)
		}
		fmt.Fprintf(&b, t.remedy, remedy)
	}
	if p.App != "" {
		fmt.Fprintf(&b, t.app, p.App)
	}
	for _, line := range p.Reach {
		b.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// upper begins a title as a sentence begins.
func upper(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:]
}
