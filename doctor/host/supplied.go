package host

import (
	"picket/cause"
	"picket/doctor"
	"picket/printable"
)

// damaged: what the broker has kept cannot be read. One that runs has left it alone, and writes it anew.
func (d *diagnosis) damaged() {
	files, at := facts[Damaged](d.Facts)
	_, none := facts[NoBroker](d.Facts)
	if len(none) == 0 {
		return
	}
	for i, f := range files {
		d.find(cause.PersistenceCorrupt, doctor.Sure+2, cause.Values{"file": f.File}, doctor.Say("%s is damaged: it does not begin as mosquitto writes it, and mosquitto does not start with it.", "%s 已损坏：开头不是 mosquitto 写入的格式，mosquitto 无法带着它启动。", f.File), append(none, at[i])...)
	}
}

// supplied: does the machine give the broker what it needs?
func (d *diagnosis) supplied() {
	files, at := facts[Files](d.Facts)
	for i, f := range files {
		if f.low() {
			fd := d.find(cause.FDLimit, doctor.Sure, cause.Values{"limit": itoa(int(min(f.Limit, 1<<31-1)))},
				doctor.Say("%s may open %d files and has %d open: there is room for %d more connections.", "%s 最多可打开 %d 个文件，已打开 %d 个：只能再容纳 %d 个连接。", f.Program, f.Limit, f.Open, f.Room()), at[i])
			if f.Hard > f.Limit {
				fd.Steps = []doctor.Step{{
					Title: doctor.Say("At once, until the next restart", "立即生效（重启后失效）"),
					Lines: doctor.Say("sudo prlimit --pid %d --nofile=%d:%d", "sudo prlimit --pid %d --nofile=%d:%d", f.PID, f.Hard, f.Hard),
				}}
			}
		}
	}
	memory, at := facts[Memory](d.Facts)
	for i, m := range memory {
		switch {
		case m.KilledBroker != "":
			d.find(cause.MemoryLimitOOM, doctor.Sure, nil, doctor.Say("The kernel's log has: %s", "内核日志：%s", m.KilledBroker), at[i])
		case m.short():
			d.find(cause.MemoryLimitOOM, doctor.Possible, nil, doctor.Say("%s of memory are free. When there is none, the kernel kills the largest process.", "可用内存仅 %s。耗尽时内核会杀死占用最大的进程。", size(m.Available)), at[i])
		}
	}
	disks, at := facts[Disk](d.Facts)
	for i, disk := range disks {
		d.readOnly(disk, at[i])
		if disk.short() {
			d.find(cause.DiskFull, doctor.Sure, cause.Values{"file": disk.Path, "limit": itoa(littleDisk)}, doctor.Say("%s has %s left.", "%s 所在磁盘只剩 %s。", disk.Path, size(disk.Free)), at[i])
		}
	}
	kernel, at := facts[Kernel](d.Facts)
	for i, k := range kernel {
		if k.full() {
			d.find(cause.ConntrackFull, doctor.Sure, nil, doctor.Say("%d of %d places are taken.", "%d / %d 已被占用。", k.Tracked, k.TrackedLimit), at[i])
		}
	}
	listens, at := facts[Listen](d.Facts)
	for i, l := range listens {
		if l.Waiting >= 100 && l.Broker {
			d.find(cause.OverloadOrStorm, doctor.Probable, nil, doctor.Say("%d connections wait for the broker to accept them.", "有 %d 个连接在等服务端接受。", l.Waiting), at[i])
		}
	}
	ways, at := facts[Way](d.Facts)
	clocks, clockAt := facts[Clock](d.Facts)
	for i, w := range ways {
		// Two machines that are a minute apart: the one that no time server keeps is likelier wrong. Certificates are checked by the minute.
		if w.Ahead > 60 || w.Ahead < -60 {
			fit, evidence := doctor.Probable, []int{at[i]}
			for ci, c := range clocks {
				evidence = append(evidence, clockAt[ci])
				if c.Synchronized {
					fit = doctor.Possible
				}
			}
			d.find(cause.ClockSkew, fit, nil, doctor.Say("This machine's clock is %.0f seconds ahead of the probe's.", "本机时钟比探测点快 %.0f 秒。", w.Ahead), evidence...)
			break
		}
	}
}

// readOnly: the disk on which messages are kept takes nothing.
func (d *diagnosis) readOnly(disk Disk, at int) {
	if !disk.ReadOnly || disk.What != "data" {
		return
	}
	f := d.find(cause.StoreFailed, doctor.Sure, cause.Values{"file": disk.Path}, doctor.Say("%s is on a file system that is mounted read-only: nothing that the broker wants to keep is written down. The kernel mounts a disk so after errors of the medium, such as a worn SD card; its log says which.", "%s 所在的文件系统是只读挂载：服务端要保存的内容都写不下去。存储介质出错（例如 SD 卡磨损）后，内核会把磁盘改为只读；原因见内核日志。", disk.Path), at)
	f.Steps = append(f.Steps, doctor.Step{Title: doctor.Say("What happened, and whether it can be written to again", "查看原因，以及能否恢复写入"), Lines: doctor.Say("sudo dmesg | grep -iE 'i/o error|read-only|mmc|ext4'\nsudo mount -o remount,rw \"$(findmnt -n -o TARGET --target %[1]s)\"    # it stays so only if the medium is well", "sudo dmesg | grep -iE 'i/o error|read-only|mmc|ext4'\nsudo mount -o remount,rw \"$(findmnt -n -o TARGET --target %[1]s)\"    # 介质完好才能保持", printable.ShellWord(disk.Path))})
}
