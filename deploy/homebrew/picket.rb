# Homebrew's formula. In a checkout it is a draft: "make release" fills in the version and the checksums, and writes it to dist. Then write below where your
# archives are, put the file into a tap of yours (brew tap-new you/picket; its folder Formula), and: brew install you/picket/picket
class Picket < Formula
  desc "MQTT broker that a phone can reach within minutes"
  homepage "https://example.com/picket"
  version "VERSION"
  license "Apache-2.0"

  archives = "https://example.com/picket"

  on_macos do
    on_arm do
      url "#{archives}/picket-VERSION-darwin-arm64.tar.gz"
      sha256 "SHA256 of picket-VERSION-darwin-arm64.tar.gz"
    end
    on_intel do
      url "#{archives}/picket-VERSION-darwin-amd64.tar.gz"
      sha256 "SHA256 of picket-VERSION-darwin-amd64.tar.gz"
    end
  end

  on_linux do
    on_arm do
      url "#{archives}/picket-VERSION-linux-arm64.tar.gz"
      sha256 "SHA256 of picket-VERSION-linux-arm64.tar.gz"
    end
    on_intel do
      url "#{archives}/picket-VERSION-linux-amd64.tar.gz"
      sha256 "SHA256 of picket-VERSION-linux-amd64.tar.gz"
    end
  end

  def install
    bin.install "picket"
    man1.install Dir["man1/*.1"]
    bash_completion.install "completions/picket.bash" => "picket"
    zsh_completion.install "completions/_picket"
    fish_completion.install "completions/picket.fish"
  end

  service do
    run [opt_bin/"picket", "serve", "--data", var/"picket"]
    keep_alive true
    log_path var/"log/picket.log"
    error_log_path var/"log/picket.log"
  end

  test do
    port = free_port
    broker = spawn bin/"picket", "serve", "-p", port.to_s
    begin
      sleep 2
      system bin/"picket", "pub", "-p", port.to_s, "-r", "-q", "1", "-t", "home/garden", "-m", "hello"
      assert_equal "hello\n", shell_output("#{bin}/picket sub -p #{port} -t home/garden -C 1 -W 30")
    ensure
      Process.kill "TERM", broker
      Process.wait broker
    end
  end
end
