module github.com/miekg/dns

go 1.26.0
