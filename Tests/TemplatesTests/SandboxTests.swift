import JSON
import Templates
import Testing
#if canImport(Glibc)
import Glibc
#endif

/// Hostile templates and contexts end in an error, on a thread with a small stack too.
@Suite struct SandboxTests {
    private static func nested(_ open: String, _ inner: String, _ close: String, _ count: Int) -> String {
        String(repeating: open, count: count) + inner + String(repeating: close, count: count)
    }

    static let hostile: [String] = [
        "{{ 2 ** 1000000 }}", "{{ 10 ** (10 ** 10) }}", "{{ 'a' * 10000000000 }}", "{{ [0] * 10000000000 }}", "{{ 'x'.center(10**12) }}",
        "{{ 'x'.ljust(10**12) }}", "{{ 'x'.zfill(10**12) }}", "{{ '%1000000000000d' % 1 }}", "{{ '%.1000000000f' % 1 }}",
        "{{ '{:1000000000000}'.format(1) }}", "{{ '{:.999999999}'.format(1.5) }}", "{{ 'a' | indent(10**12) }}", "{{ 'a\\tb'.expandtabs(10**12) }}",
        "{{ 'a\nb' | tojson(indent=10**12) }}", "{{ [1] | tojson(indent=10**12) }}", "{{ [1] | batch(10**12, 'x') | list }}",
        "{{ range(10**9) }}", "{{ lipsum(10**12) }}", "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% macro m(x) %}{% for i in x %}{{ m(x) }}{% endfor %}{% endmacro %}{{ m([1]) }}",
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(1000) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(n=7) %}{% for i in range(1000) %}{% set ns.n = ns.n * ns.n %}{% endfor %}{{ ns.n }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}",
        "{% set ns = namespace(l={}) %}{% for i in range(100000) %}{% set ns.l = {'a': ns.l} %}{% endfor %}",
        "{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = ns.l | map('string') %}{% endfor %}{{ ns.l | list }}",
        "{% set ns = namespace() %}{% set ns.ns = ns %}{{ ns }}", "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% macro r() %}{% call m() %}{{ r() }}{% endcall %}{% endmacro %}{{ r() }}",
        "{% block a %}{{ self.a() }}{% endblock %}", "{{ (('a' * 1000000) | replace('', 'b' * 1000)) | length }}",
        "{{ ('a' * 10000000).replace('a', 'bbbbbbbbbb') }}", "{{ (['ab' * 1000000] * 1000) | join }}", "{{ [['a' * 10000000] * 100] | string }}",
        "{% for i in range(1000) %}{{ 'a' * 1000000 }}{% endfor %}", "{{ '%s' * 100000 % ((('a' * 10000),) * 100000) }}",
        nested("(", "1", ")", 5000).wrapped, nested("[", "", "]", 5000).wrapped, nested("{1:", "1", "}", 5000).wrapped, nested("not ", "1", "", 5000).wrapped,
        nested("-", "1", "", 5000).wrapped, nested("f(", "1", ")", 5000).wrapped, nested("a[", "1", "]", 5000).wrapped,
        ("1" + String(repeating: " + 1", count: 5000)).wrapped, ("a" + String(repeating: ".b", count: 5000)).wrapped,
        ("a" + String(repeating: "|upper", count: 5000)).wrapped, ("a" + String(repeating: " and a", count: 5000)).wrapped,
        ("a" + String(repeating: " if a else a", count: 5000)).wrapped, ("a" + String(repeating: "()", count: 5000)).wrapped,
        nested("{% if 1 %}", "", "{% endif %}", 5000), nested("{% for i in [1] %}", "", "{% endfor %}", 5000),
        nested("{% macro m() %}", "", "{% endmacro %}", 5000), "{% set " + nested("(", "a", ")", 5000) + " = 1 %}", "{{ \(String(repeating: "9", count: 5000)) }}",
        "{{ x.__class__ }}{{ x.__class__.__mro__ }}", "{{ ''.format.__globals__.x }}", "{{ '{0.__class__.__mro__}'.format(1) }}", "{{ xs.append(1) }}",
        "{{ cycler.__init__.__globals__.os }}", "{{ self._TemplateReference__context.x }}",
    ]

    private static let variables: [(String, JSONValue)] = [("xs", [1, 2]), ("x", 1), ("a", "a")]

    @Test(arguments: hostile.indices) func hostileTemplate(_ index: Int) throws {
        let source = Self.hostile[index]
        try onSmallStack {
            #expect(throws: TemplateError.self, "\(source.prefix(80))") {
                _ = try Template(source).render(context: JSONObject(Self.variables))
            }
        }
    }

    /// What the limits allow must also fit a small stack.
    @Test func deepButAllowed() throws {
        let sources = [
            Self.nested("(", "1", ")", 60).wrapped, Self.nested("[", "", "]", 60).wrapped, ("1" + String(repeating: " + 1", count: 190)).wrapped,
            ("'a'" + String(repeating: "|upper", count: 190)).wrapped, Self.nested("{% if 1 %}", "x", "{% endif %}", 60),
            Self.nested("{% for i in [1] %}", "x", "{% endfor %}", 60),
            "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(100) }}",
            "{% set ns = namespace(l=[]) %}{% for i in range(120) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}{{ ns.l | tojson }}{{ ns.l == ns.l }}",
        ]
        try onSmallStack {
            for source in sources {
                let text = try Template(source).render(context: JSONObject())
                #expect(!text.isEmpty)
            }
        }
    }

    @Test func deepContext() throws {
        var value: JSONValue = 1
        for _ in 0..<300 { value = [value] }
        var context = JSONObject()
        context["x"] = value
        #expect(throws: TemplateError.self) { try Template("{{ x }}").render(context: context) }
    }

    @Test func stepsAreCounted() throws {
        var limits = TemplateLimits()
        limits.steps = 1000
        let error = #expect(throws: TemplateError.self) {
            try Template("{% for i in range(1000) %}{{ i }}{% endfor %}").render(context: JSONObject(), limits: limits)
        }
        #expect(error?.kind == .limit)
    }

    /// Runs on a thread of 512 kB, the size Swift's secondary threads may have.
    private func onSmallStack(_ body: @escaping () throws -> Void) throws {
        final class Box { var body: () throws -> Void = {}; var failure: (any Error)? }
        let box = Box()
        box.body = body
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 512 << 10)
        var thread = pthread_t()
        let started = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let box = Unmanaged<Box>.fromOpaque(argument).takeUnretainedValue()
                do { try box.body() } catch { box.failure = error }
                return nil
            }, Unmanaged.passUnretained(box).toOpaque())
        try #require(started == 0)
        pthread_join(thread, nil)
        if let failure = box.failure { throw failure }
    }
}

extension String {
    fileprivate var wrapped: String { "{{ \(self) }}" }
}
