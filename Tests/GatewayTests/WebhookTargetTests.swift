import Gateway
import Testing

@Suite struct WebhookTargetTests {
    static let refused = [
        // This machine and what is around it.
        "127.0.0.1", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "100.127.255.255",
        "::1", "fc00::1", "fdff::1",
        // Never.
        "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
        "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::7f00:1", "fe80::1",
        "febf::1", "fec0::1", "ff02::1", "2002:7f00:1::", "2002:0808:0808::1", "64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2001::1",
        "2001:db8::1", "3fff::1", "fd00:ec2::254", "100::1", "4000::1",
    ]
    static let allowed = [
        "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "192.169.0.1", "100.63.255.255", "100.128.0.1",
        "169.253.1.1", "126.255.255.255", "128.0.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00::1", "2001:4860::8888",
        "64:ff9b::8.8.8.8",
    ]

    @Test(arguments: refused)
    func refusedAddresses(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.refusal(allowsPrivate: false) != nil)
        let url = "http://\(address.isV6 ? "[\(text)]" : text)/hook"
        #expect(throws: WebhookRefusal.self) { try WebhookTarget.check(url: url, allowsPrivate: false) }
    }

    @Test(arguments: allowed)
    func allowedAddresses(_ text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.reach == .everywhere)
        let url = "https://\(address.isV6 ? "[\(text)]" : text):8443/hook?x=1"
        let target = try WebhookTarget.check(url: url, allowsPrivate: false)
        #expect(target.address == address && target.port == 8443 && target.path == "/hook?x=1" && target.isEncrypted)
    }

    @Test func settingOpensPrivateNetworksOnly() throws {
        for text in Self.refused.prefix(12) { #expect(IPAddress(text)?.refusal(allowsPrivate: true) == nil, "\(text)") }
        for text in Self.refused.dropFirst(12) { #expect(IPAddress(text)?.refusal(allowsPrivate: true) != nil, "\(text)") }
        #expect(try WebhookTarget.check(url: "http://localhost:8080/x", allowsPrivate: true).host == "localhost")
    }

    @Test(arguments: [
        "", "hook", "ftp://example.com/", "file:///etc/passwd", "http:/example.com", "//example.com", "http://", "http:///path", "https://?x", "http://user@example.com/",
        "http://user:password@example.com/", "http://example.com@127.0.0.1/", "http://example.com:0/", "http://example.com:65536/", "http://example.com:8a/",
        "http://example.com:+80/", "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nHost: x", "http://example.com/\u{0}", "http://exämple.com/",
        "http://[::1/", "http://[::1]x/", "http://[example.com]/", "http://[fe80::1%25eth0]/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/",
        "http://0177.0.0.01/", "http://127.0.0.1./", "http://example..com/", "http://.example.com/", "http://example.com\\@127.0.0.1/", "http://exa%6Dple.com/",
        "http://localhost/", "http://LOCALHOST/", "http://a.localhost/", "http://example.com/<x>", "https://" + String(repeating: "a", count: 64) + ".com/",
        "https://example.com/" + String(repeating: "a", count: 2048),
    ])
    func refusedURLs(_ url: String) {
        #expect(throws: WebhookRefusal.self) { try WebhookTarget.check(url: url, allowsPrivate: false) }
    }

    @Test(arguments: [
        ("http://example.com", "http://example.com:80/"), ("HTTPS://Example.COM/Hook", "https://example.com:443/Hook"),
        ("https://example.com?x=1", "https://example.com:443/?x=1"), ("https://example.com/a#b", "https://example.com:443/a"),
        ("https://example.com#@127.0.0.1/", "https://example.com:443/"), ("http://my_host-1.example.com:8080/%20?a=b@c", "http://my_host-1.example.com:8080/%20?a=b@c"),
        ("http://[2606:4700:0::1111]/", "http://[2606:4700::1111]:80/"),
    ])
    func acceptedURLs(_ url: String, _ written: String) throws {
        let target = try WebhookTarget.check(url: url, allowsPrivate: false)
        #expect(target.url == written)
        #expect(try WebhookTarget.check(url: target.url, allowsPrivate: false) == target)
    }
}
