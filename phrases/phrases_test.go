package phrases

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// formats are the texts in a package's sources: what is put together by + is one, with %s for what is no literal.
func formats(t *testing.T, files ...string) map[string]string {
	t.Helper()
	found := make(map[string]string) // where it stands
	for _, pattern := range files {
		each(t, filepath.Join("..", pattern), func(n ast.Node, at token.Position) bool {
			if _, isImport := n.(*ast.ImportSpec); isImport {
				return false
			}
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			if text, whole := fold(expr); whole {
				found[text] = at.String()
				return false
			}
			return true
		})
	}
	return found
}

// each visits every node of the files that a pattern matches, tests apart, with its place; what a false answer is about is not gone into.
func each(t *testing.T, pattern string, visit func(n ast.Node, at token.Position) bool) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	fileSet := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fileSet, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { return n != nil && visit(n, fileSet.Position(n.Pos())) })
	}
}

// fold puts a sum of texts together; ok: there is a literal in it.
func fold(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "%s", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "%s", false
		}
		left, l := fold(e.X)
		right, r := fold(e.Y)
		return left + right, l || r
	}
	return "%s", false
}

// notSaid are texts in package mosqconf that are no findings: usages, separators.
var notSaid = regexp.MustCompile(`^[A-Z|[\]: .,/@#0-9a-z_]*[A-Z]{3,}[A-Z|[\]: .,/@#0-9a-z_-]*$|^[^a-z]*$|^(tls: |world readable|\*_ /:@|%s:%d: %s|PRIVATE KEY|X509 CRL|0 to 7)$`)

// says tells whether a format has words of its own.
func says(format string) bool {
	return strings.ContainsFunc(verb.ReplaceAllString(strip(format), ""), unicode.IsLetter)
}

// Whatever picket check may find, it can say in Chinese.
func TestFindings(t *testing.T) {
	all := formats(t, "mosqconf/*.go")
	said := 0
	for format, at := range all {
		if !strings.Contains(format, " ") || notSaid.MatchString(format) || !says(format) {
			continue
		}
		said++
		if !Known(format) && !Known("%s"+format) && Chinese(format) == format {
			t.Errorf("%s: %q has no Chinese", at, format)
		}
	}
	if said < 200 {
		t.Errorf("%d texts were found in package mosqconf", said)
	}
	for format, at := range formats(t, "access/aclfile.go", "access/passwordfile.go", "access/file*.go") {
		if (strings.HasPrefix(format, "Error: ") || strings.HasPrefix(format, "Warning: ") || strings.HasSuffix(format, ".")) && len(format) > len("Warning: ") && !Known(format) {
			t.Errorf("%s: %q has no Chinese", at, format)
		}
	}
}

// Every phrase is whole: Chinese, with all the values, and a line of its format is found again.
func TestPhrases(t *testing.T) {
	for _, catalogue := range catalogues {
		for _, en := range slices.Sorted(maps.Keys(catalogue)) {
			zh := catalogue[en]
			if !strings.ContainsFunc(zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
				t.Errorf("%q is no Chinese: %q", en, zh)
			}
			if strip(en) != en {
				t.Errorf("%q has its level in front", en)
			}
			var values, marks []any
			for i, v := range verb.FindAllString(en, -1) {
				if v == "%%" {
					continue
				}
				mark := fmt.Sprintf("%d", 7000+i)
				marks = append(marks, mark)
				switch v[len(v)-1] {
				case 'd':
					values = append(values, 7000+i)
				case 'f':
					values, marks[len(marks)-1] = append(values, 7000.5), fmt.Sprintf(v, 7000.5)
				case 'q':
					values, marks[len(marks)-1] = append(values, mark), strconv.Quote(mark)
				case 'T', 'X':
					values, marks[len(marks)-1] = append(values, mark), fmt.Sprintf(v, mark)
				default:
					values = append(values, mark)
				}
			}
			line := fmt.Sprintf(strings.ReplaceAll(en, "%w", "%v"), values...)
			want := fmt.Sprintf(zh, marks...)
			if got := Chinese(line); got != want || strings.Contains(got, "%!") {
				t.Errorf("%q becomes %q, want %q", line, got, want)
			}
			for _, mark := range marks {
				if !strings.Contains(want, mark.(string)) {
					t.Errorf("%q leaves a value of %q out", zh, en)
				}
			}
		}
	}
}

func TestChinese(t *testing.T) {
	for line, want := range map[string]string{
		"Error: Unable to open config file /x y.conf.":              "错误：无法打开配置文件 /x y.conf。",
		"Warning: The certificate of /a.pem expired on 2026-01-02.": "警告：证书 /a.pem 已于 2026-01-02 过期。",
		"It is from 1 to 5.":     "应为 1 至 5。",
		"Did you mean listener?": "是不是想写 listener？",
		"Warning: log_dest file /x cannot be had: open /x: permission denied.":      "警告：log_dest file /x 无法使用：打开 /x：权限不足。",
		"Error: Unable to drop privileges to 'x' because this user does not exist.": "错误：无法切换到用户 'x'：没有这个用户。",
		"certfile: open /x.pem: permission denied.":                                 "certfile：打开 /x.pem：权限不足。",
		"Nobody has translated this.":                                               "Nobody has translated this.",
		"":                                                                          "",
	} {
		if got := Chinese(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// Every line of the log that tells people something is there in Chinese: all but what -v adds, packet by packet.
func TestLogLines(t *testing.T) {
	packages := []string{"cmd/picket", "broker", "bridge", "rights/live", "store/place", "store/local", "store/redis", "cluster"}
	lines := 0
	for _, p := range packages {
		for format, at := range loggedIn(t, p) {
			if !says(format) {
				continue
			}
			lines++
			if !Known(format) {
				t.Errorf("%s: %q has no Chinese", at, format)
			}
		}
	}
	if lines < 100 {
		t.Errorf("%d lines were found", lines)
	}
}

// loggedIn are the formats that a package gives to its log, and where.
func loggedIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	each(t, filepath.Join("..", dir, "*.go"), func(n ast.Node, at token.Position) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if format, ok := logged(call); ok {
				found[format] = at.String()
			}
		}
		return true
	})
	return found
}

// logged returns the format that a call gives to the log: of Printf and Cause with a level that is not for -v alone, and of the broker's own ways.
func logged(call *ast.CallExpr) (format string, ok bool) {
	method, isMethod := call.Fun.(*ast.SelectorExpr)
	if !isMethod || len(call.Args) < 2 {
		return "", false
	}
	at := 1
	switch method.Sel.Name {
	case "Printf", "Cause", "notice", "cause":
		level, isLevel := call.Args[0].(*ast.SelectorExpr)
		if !isLevel || slices.Contains([]string{"Debug", "Subscribe", "Unsubscribe"}, level.Sel.Name) {
			return "", false
		}
		if method.Sel.Name != "Printf" {
			at = 2
		}
	case "report":
		if _, isIncident := call.Args[0].(*ast.CompositeLit); !isIncident {
			return "", false
		}
	default:
		return "", false
	}
	if len(call.Args) <= at {
		return "", false
	}
	arg := call.Args[at]
	if around, isCall := arg.(*ast.CallExpr); isCall && len(around.Args) == 1 {
		arg = around.Args[0] // connectionLine("...")
	}
	return fold(arg)
}

// What is wrong with a command line is said in Chinese, too, where this program says it.
func TestUsages(t *testing.T) {
	texts := 0
	for _, name := range []string{"bench", "cluster", "ctl", "doctor", "echo", "entrypoint", "parse"} {
		for format, at := range usagesIn(t, "../cmd/picket/"+name+"*.go") {
			if strings.HasPrefix(format, "--") && strings.HasSuffix(format, ": %s") {
				continue // an option, and what a parser has said
			}
			texts++
			if !Known(format) {
				t.Errorf("%s: %q has no Chinese", at, format)
			}
		}
	}
	if texts < 20 {
		t.Errorf("%d texts were found", texts)
	}
}

// usagesIn are the texts of usage errors in files, and where.
func usagesIn(t *testing.T, pattern string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	each(t, pattern, func(n ast.Node, at token.Position) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok || len(literal.Elts) == 0 {
			return true
		}
		if kind, ok := literal.Type.(*ast.Ident); !ok || kind.Name != "usageError" {
			return true
		}
		text, ok := literal.Elts[0].(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		value := text.Value
		if call, ok := value.(*ast.CallExpr); ok && len(call.Args) > 1 {
			value = call.Args[0] // Sprintf
		}
		if format, ok := fold(value); ok {
			found[format] = at.String()
		}
		return true
	})
	return found
}

// Whatever ends a command, or stands as the reason in a finding or in a line of the log, is there in Chinese.
func TestErrors(t *testing.T) {
	texts := 0
	for _, files := range []string{"cmd/picket/*.go", "listener/socket.go", "listener/tls.go", "listener/cipher.go", "listener/given.go", "listener/update.go", "store/redis/address.go",
		"store/place/*.go", "access/file.go", "access/hash.go", "access/passwordfile.go", "setup/*.go", "acme/acme.go", "admin/client.go", "admin/server.go", "admin/backup.go", "admin/bans.go", "admin/when.go", "backup/*.go", "ban/*.go", "doctor/target.go"} {
		for format, at := range errorsIn(t, files) {
			if !says(format) || options.MatchString(format) || Known(format+".") || strings.Contains(at, "/mosquitto.go:") || slices.Contains([]string{"answered", "usage", "listeners are closed"}, format) {
				continue // called as mosquitto it says mosquitto's words; the last ones are for the program alone
			}
			texts++
			if !Known(format) {
				t.Errorf("%s: %q has no Chinese", at, format)
			}
		}
	}
	if texts < 100 {
		t.Errorf("%d texts were found", texts)
	}
}

// options are texts that name an option, a directive or a call alone, before what somebody else says.
var options = regexp.MustCompile(`^((-?-?[a-z_]+(=FILE)?( %s)?(, | and )?)+: )+(%s: )?%[swv]$`)

// errorsIn are the formats of errors that files make, and where.
func errorsIn(t *testing.T, pattern string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	each(t, filepath.Join("..", pattern), func(n ast.Node, at token.Position) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			if f.Sel.Name != "Errorf" && (f.Sel.Name != "New" || !isErrors(f.X)) {
				return true
			}
		case *ast.Ident:
			if f.Name != "wrong" { // of serve's options
				return true
			}
		default:
			return true
		}
		if format, ok := fold(call.Args[0]); ok {
			found[format] = at.String()
		}
		return true
	})
	return found
}

func isErrors(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	return ok && name.Name == "errors"
}
