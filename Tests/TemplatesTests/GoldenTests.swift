import JSON
import Templates
import Testing
#if canImport(Glibc)
import Glibc
#endif

/// Renderings of the reference implementation.
@Suite struct GoldenTests {
    private static let package: String = {
        // Tests/TemplatesTests/GoldenTests.swift is three levels below the package.
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    @Test func committedFixtures() throws {
        let report = try TemplateGolden.verify(Self.package + "/Tests/Fixtures/templates")
        #expect(report.programs == 186)
        #expect(report.templates == 26)
        #expect(report.renderings == 26 * 44)
        for failure in report.failures { Issue.record("\(failure)") }
    }

    /// All templates, those of other licences included, where they are at hand.
    @Test func sharedFixtures() throws {
        let root = getenv("NEEDLETAIL_FIXTURES").map { String(cString: $0) } ?? Self.package + "/../shared/fixtures"
        let report = try TemplateGolden.verify(root + "/templates")
        for failure in report.failures { Issue.record("\(failure)") }
        if report.templates == 0 {
            print("skipped: no templates under \(root)/templates")
        } else {
            print("\(report.templates) templates, \(report.renderings) renderings, \(report.programs) programs")
        }
    }
}
