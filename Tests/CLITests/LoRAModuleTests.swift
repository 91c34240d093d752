import CLI
import Testing

@Suite struct LoRAModuleTests {
    @Test func bothSpellings() {
        let plain = LoRAModule(argument: "sql=/adapters/a=b")
        #expect(plain?.name == "sql" && plain?.path == "/adapters/a=b" && plain?.baseName == nil)
        let json = LoRAModule(argument: "{\"name\": \"sql\", \"path\": \"org/sql-lora\", \"base_model_name\": \"org/base\"}")
        #expect(json?.name == "sql" && json?.path == "org/sql-lora" && json?.baseName == "org/base")
    }

    @Test(arguments: ["sql", "=path", "sql=", "", "{\"name\": \"sql\"}", "{\"name\": 1, \"path\": \"x\"}", "{"])
    func refused(_ argument: String) {
        #expect(LoRAModule(argument: argument) == nil)
    }

    @Test func settingsKnowTheOptions() throws {
        let settings = try Settings(
            arguments: ["serve", "model", "--lora-modules", "a=x", "b=y"], environment: ["MAX_LORAS": "3", "NEEDLETAIL_ALLOW_RUNTIME_LORA_UPDATING": "true"])
        #expect(settings.arguments.contains("--max-loras") && settings.arguments.contains("--allow-runtime-lora-updating"))
        #expect(settings.arguments.starts(with: ["serve", "model", "--lora-modules", "a=x", "b=y"]))
    }
}
