import Testing

/// The real engine over real decoders on the CPU backend. One test at a time: each keeps all compute threads busy.
@Suite(.serialized) enum IntegrationTests {}
