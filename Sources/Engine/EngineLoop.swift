internal import Step

/// The engine thread's life: sleep until there is mail, take it, step, hand over.
final class EngineLoop {
    private let inbox: Mailbox<Inbox>
    private let status: EngineStatus
    private let runner: any StepRunner

    init(
        configuration: EngineConfiguration, vocabularySize: Int, hashKey: HashKey, runner: sending any StepRunner, inbox: Mailbox<Inbox>,
        status: EngineStatus
    ) {
        self.inbox = inbox
        self.status = status
        self.runner = runner
    }

    func start() {
    }
}
