package host

import (
	"picket/cause"
	"picket/doctor"
	"picket/printable"
)

// locked: the key needs a pass phrase, and a service has nobody who could type one.
func (d *diagnosis) locked(c Certificate, at int) {
	fit, evidence := doctor.Possible, []int{at}
	if _, none := facts[NoBroker](d.Facts); len(none) > 0 {
		fit, evidence = doctor.Sure+2, append(none, at)
	}
	key := printable.ShellWord(c.KeyFile)
	f := d.find(cause.KeyUnreadable, fit, cause.Values{"file": c.KeyFile},
		doctor.Say("The key %s is locked with a pass phrase: a broker that starts as a service has nobody who types it, and ends.", "私钥 %s 用口令加密：作为服务启动时没有人输入口令，服务端会退出。", c.KeyFile), evidence...)
	f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("Write the key without its pass phrase, for the broker's user alone; then name that file (keyfile)", "另存一份不带口令的私钥，只给服务端的用户读取；再把 keyfile 改为该文件"),
		Lines: doctor.Say("sudo openssl pkey -in %s -out /etc/mosquitto/certs/open.key\nsudo chown mosquitto /etc/mosquitto/certs/open.key && sudo chmod 0600 /etc/mosquitto/certs/open.key", "sudo openssl pkey -in %s -out /etc/mosquitto/certs/open.key\nsudo chown mosquitto /etc/mosquitto/certs/open.key && sudo chmod 0600 /etc/mosquitto/certs/open.key", key)})
}
