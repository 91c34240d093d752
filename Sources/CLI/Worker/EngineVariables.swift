/// Every variable of both generations of Runpod's vLLM worker (v2.23 and v2.25), and what becomes of it here. Keys of its configuration file
/// and flags of VLLM_EXTRA_ARGS are the same names in another spelling.
enum EngineVariables {
    static let byName = Dictionary(uniqueKeysWithValues: (options + settings + unsupported + inapplicable).map { ($0.name, $0) })

    private static let positive = VariableValue.int(1...Int.max)

    private static let options: [EngineVariable] = [
        option("MAX_MODEL_LEN", "max-model-len", .tokens),
        option(
            "DTYPE", "dtype",
            .oneOf([
                "auto": "auto", "half": "half", "float16": "half", "bfloat16": "bfloat16", "float": "float32", "float32": "float32",
            ])),
        option(
            "KV_CACHE_DTYPE", "kv-cache-dtype",
            .oneOf([
                "auto": "auto", "float32": "float32", "float16": "float16", "bfloat16": "bfloat16", "int8": "int8", "fp8": "fp8", "fp8_e4m3": "fp8_e4m3",
                "fp8_e5m2": "fp8_e5m2",
            ])),
        option("KV_CACHE_MEMORY_BYTES", "kv-cache-memory", .bytes),
        option("KV_CACHE_MEMORY", "kv-cache-memory", .bytes),
        option("MAX_NUM_SEQS", "max-num-seqs", .int(1...65536, unset: [0])),
        option("MAX_NUM_BATCHED_TOKENS", "max-num-batched-tokens", .int(1...(1 << 30), unset: [0])),
        option("BLOCK_SIZE", "block-size", .oneOf(["8": "16", "16": "16", "32": "32", "64": "64", "128": "128"])),
        option("THREADS", "threads", .int(1...1024)),
        option("SCHEDULING_POLICY", "scheduling-policy", .oneOf(["fcfs": "fcfs", "priority": "priority"])),
        option("MAX_NUM_QUEUED_REQS", "max-num-queued-reqs", positive),
        option("MAX_NUM_QUEUED_TOKENS", "max-num-queued-tokens", positive),
        option("LONG_PREFILL_TOKEN_THRESHOLD", "long-prefill-token-threshold", .int(1...(1 << 30), unset: [0])),
        option("MAX_LOGPROBS", "max-logprobs", .int(0...100_000)),
        option("ENABLE_PREFIX_CACHING", "enable-prefix-caching", .bool),
        option("ENABLE_CHUNKED_PREFILL", "enable-chunked-prefill", .bool),
        option("REVISION", "revision", .text),
        option("CHAT_TEMPLATE", "chat-template", .text),
        option("MAX_LORAS", "max-loras", positive),
        option("MAX_LORA_RANK", "max-lora-rank", positive),
    ]

    private static let settings: [EngineVariable] = [
        setting("MODEL_NAME", .text), setting("MODEL_REVISION", .text), setting("TOKENIZER_NAME", .text), setting("TOKENIZER", .text),
        setting("TOKENIZER_REVISION", .text), setting("SERVED_MODEL_NAME", .text), setting("OPENAI_SERVED_MODEL_NAME_OVERRIDE", .text),
        setting("CUSTOM_CHAT_TEMPLATE", .text), setting("OPENAI_RESPONSE_ROLE", .text), setting("RESPONSE_ROLE", .text),
        setting("RAW_OPENAI_OUTPUT", .bool), setting("MAX_CONCURRENCY", .int(1...4096)),
        setting("DEFAULT_BATCH_SIZE", .int(1...1_000_000, unset: [0])), setting("DEFAULT_MIN_BATCH_SIZE", .int(1...1_000_000, unset: [0])),
        setting("MIN_BATCH_SIZE", .int(1...1_000_000, unset: [0])), setting("DEFAULT_BATCH_SIZE_GROWTH_FACTOR", .number(0...1000)),
        setting("BATCH_SIZE_GROWTH_FACTOR", .number(0...1000)), setting("LORA_MODULES", .json), setting("ENABLE_LORA", .bool),
        setting("DOWNLOAD_DIR", .text), setting("QUANTIZATION", .text), setting("SEED", .int(Int.min...Int.max)),
        setting("TRUST_REQUEST_CHAT_TEMPLATE", .bool), setting("ENABLE_PROMPT_TOKENS_DETAILS", .bool), setting("ENABLE_FORCE_INCLUDE_USAGE", .bool),
        setting("GENERATION_CONFIG", .oneOf(["auto": "auto", "vllm": "vllm"])), setting("OVERRIDE_GENERATION_CONFIG", .json),
        setting("NATIVE_OUTPUT", .oneOf(["tokens": "tokens", "openai": "openai"])),
        setting("GATEWAY_LOST_TIMEOUT", .number(1...86_400)), setting("STOP_GRACE", .number(0...3600)), setting("STEP_TIMEOUT", .number(1...86_400)),
        setting("PREFETCH", .bool),
    ]

    private static let unsupported: [EngineVariable] =
        refuse("this engine takes its architecture from the checkpoint alone", [], "HF_OVERRIDES", "ROPE_SCALING", "ROPE_THETA", "MODEL_IMPL", "CONFIG_FORMAT", "HF_CONFIG_PATH")
        + refuse("calls and reasoning are not parsed out of answers yet", ["false"], "ENABLE_AUTO_TOOL_CHOICE", "TOOL_CALL_PARSER", "REASONING_PARSER", "TOOL_PARSER_PLUGIN")
        + refuse("tools are always shown to the template", ["false"], "EXCLUDE_TOOLS_WHEN_TOOL_CHOICE_NONE")
        + refuse("ask for it in the request (return_tokens_as_token_ids)", ["false"], "RETURN_TOKENS_AS_TOKEN_IDS")
        + refuse("texts are what this worker takes and gives", ["false"], "SKIP_TOKENIZER_INIT", "ENABLE_PROMPT_EMBEDS")
        + refuse("windows are part of the model", ["false"], "DISABLE_SLIDING_WINDOW")
        + refuse("weights are read from safetensors and GGUF files", ["auto", "safetensors", "gguf", "hf", "fastsafetensors", "runai_streamer"], "LOAD_FORMAT")
        + refuse("the tokenizer of the checkpoint is used as it is", ["auto", "hf", "slow", "fast"], "TOKENIZER_MODE")
        + refuse("what a model does follows from the checkpoint", ["auto", "generate", "none"], "RUNNER", "CONVERT", "TASK")
        + refuse("how texts are pooled follows from the checkpoint", [], "POOLER_CONFIG", "OVERRIDE_POOLER_CONFIG", "OVERRIDE_NEURON_CONFIG")
        + refuse("log-probabilities are those before penalties and temperature", ["raw_logprobs"], "LOGPROBS_MODE")
        + refuse("there are no plug-ins", [], "LOGITS_PROCESSORS", "LOGITS_PROCESSOR_PATTERN", "IO_PROCESSOR_PLUGIN", "WORKER_CLS", "MIDDLEWARE")
        + refuse("adapters use their own scale", [], "LONG_LORA_SCALING_FACTORS")
        + refuse("scales of cached keys and values come with the checkpoint or per row", [], "QUANTIZATION_PARAM_PATH")

    private static let inapplicable: [EngineVariable] =
        ignore("this engine computes on the processor", "GPU_MEMORY_UTILIZATION", "ENFORCE_EAGER", "MAX_SEQ_LEN_TO_CAPTURE", "MAX_CONTEXT_LEN_TO_CAPTURE",
            "CUDA_GRAPH_SIZES", "COMPILATION_CONFIG", "OPTIMIZATION_LEVEL", "NUM_GPU_BLOCKS_OVERRIDE", "CPU_OFFLOAD_GB", "CPU_OFFLOAD_PARAMS", "SWAP_SPACE", "ATTENTION_BACKEND",
            "ATTENTION_CONFIG", "DISABLE_CUSTOM_ALL_REDUCE", "DISABLE_CASCADE_ATTN", "DEVICE", "DEVICE_CONFIG", "KERNEL_CONFIG", "CALCULATE_KV_SCALES",
            "ENABLE_SLEEP_MODE", "KV_OFFLOADING_SIZE", "KV_OFFLOADING_BACKEND", "KV_SHARING_FAST_PREFILL", "VLLM_USE_DEEP_GEMM", "PYTORCH_ALLOC_CONF",
            "PYTORCH_CUDA_ALLOC_CONF", "USE_V2_BLOCK_MANAGER", "DISABLE_NVTX_TRACING", "ENABLE_LAYERWISE_NVTX_TRACING", "ENABLE_FLASHINFER_AUTOTUNE")
        + ignore("one process runs the whole model", "TENSOR_PARALLEL_SIZE", "PIPELINE_PARALLEL_SIZE", "DATA_PARALLEL_SIZE", "DATA_PARALLEL_SIZE_LOCAL",
            "DATA_PARALLEL_RANK", "DATA_PARALLEL_START_RANK", "DATA_PARALLEL_ADDRESS", "DATA_PARALLEL_RPC_PORT", "DATA_PARALLEL_BACKEND", "DATA_PARALLEL_HYBRID_LB",
            "DATA_PARALLEL_EXTERNAL_LB", "DECODE_CONTEXT_PARALLEL_SIZE", "PREFILL_CONTEXT_PARALLEL_SIZE", "CP_KV_CACHE_INTERLEAVE_SIZE", "ENABLE_EXPERT_PARALLEL",
            "ALL2ALL_BACKEND", "ENABLE_EPLB", "EPLB_CONFIG", "NUM_REDUNDANT_EXPERTS", "EXPERT_PLACEMENT_STRATEGY", "ENABLE_DBO", "DBO_DECODE_TOKEN_THRESHOLD",
            "DBO_PREFILL_TOKEN_THRESHOLD", "UBATCH_SIZE", "DISTRIBUTED_EXECUTOR_BACKEND", "WORKER_USE_RAY", "RAY_WORKERS_USE_NSIGHT", "MAX_PARALLEL_LOADING_WORKERS",
            "MASTER_ADDR", "MASTER_PORT", "NNODES", "NODE_RANK", "HEADLESS", "API_SERVER_COUNT", "WORKER_EXTENSION_CLS", "NUMA_BIND", "NUMA_BIND_NODES", "NUMA_BIND_CPUS",
            "DISTRIBUTED_TIMEOUT_SECONDS", "ELASTIC_EP")
        + ignore("tokens are not speculated on; answers are the same without", "SPECULATIVE_CONFIG", "SPECULATIVE_METHOD", "SPECULATIVE_MODEL", "NUM_SPECULATIVE_TOKENS",
            "NGRAM_PROMPT_LOOKUP_MAX", "NGRAM_PROMPT_LOOKUP_MIN", "SPECULATIVE_DRAFT_TENSOR_PARALLEL_SIZE", "SPECULATIVE_MAX_MODEL_LEN",
            "SPECULATIVE_DISABLE_BY_BATCH_SIZE", "SPECULATIVE_DISABLE_MQA_SCORER", "SPECULATIVE_QUANTIZATION", "SPECULATIVE_MODEL_REVISION",
            "SPECULATIVE_MODEL_QUANTIZATION", "SPECULATIVE_ENFORCE_EAGER", "NUM_LOOKAHEAD_SLOTS", "SPEC_DECODING_ACCEPTANCE_METHOD",
            "TYPICAL_ACCEPTANCE_SAMPLER_POSTERIOR_THRESHOLD", "TYPICAL_ACCEPTANCE_SAMPLER_POSTERIOR_ALPHA")
        + ignore("models are code of this program", "TRUST_REMOTE_CODE", "CODE_REVISION", "TRANSFORMERS_VERSION", "TOKENIZER_POOL_SIZE", "TOKENIZER_POOL_TYPE",
            "TOKENIZER_POOL_EXTRA_CONFIG", "IGNORE_PATTERNS", "MODEL_LOADER_EXTRA_CONFIG", "PT_LOAD_MAP_LOCATION", "USE_TQDM_ON_LOAD", "SAFETENSORS_LOAD_STRATEGY", "RENDERER_NUM_WORKERS")
        + ignore("only texts are taken", "LIMIT_MM_PER_PROMPT", "MM_PROCESSOR_KWARGS", "MM_PROCESSOR_CACHE_GB", "MM_PROCESSOR_CACHE_TYPE", "MM_SHM_CACHE_MAX_OBJECT_SIZE_MB",
            "MM_ENCODER_TP_MODE", "MM_ENCODER_ATTN_BACKEND", "MM_ENCODER_ONLY", "MM_TENSOR_IPC", "MEDIA_IO_KWARGS", "ALLOWED_LOCAL_MEDIA_PATH", "ALLOWED_MEDIA_DOMAINS",
            "DISABLE_MM_PREPROCESSOR_CACHE", "ENABLE_MM_EMBEDS", "INTERLEAVE_MM_STRINGS", "SKIP_MM_PROFILING", "VIDEO_PRUNING_RATE", "LANGUAGE_MODEL_ONLY", "DEFAULT_MM_LORAS",
            "CHAT_TEMPLATE_CONTENT_FORMAT", "DISABLE_CHUNKED_MM_INPUT")
        + ignore("adapters are applied in their own precision, from memory", "LORA_DTYPE", "MAX_CPU_LORAS", "FULLY_SHARDED_LORAS", "LORA_EXTRA_VOCAB_SIZE", "LORA_TARGET_MODULES",
            "SPECIALIZE_ACTIVE_LORA", "ENABLE_TOWER_CONNECTOR_LORA", "MAX_PROMPT_ADAPTERS", "MAX_PROMPT_ADAPTER_TOKEN", "ENABLE_PROMPT_ADAPTER")
        + ignore("the scheduler decides by itself", "SCHEDULER_DELAY_FACTOR", "PREEMPTION_MODE", "PREEMPTION_CHECK_PERIOD", "PREEMPTION_CPU_CAPACITY", "NUM_SCHEDULER_STEPS",
            "MULTI_STEP_STREAM_OUTPUTS", "SCHEDULER_CLS", "ASYNC_SCHEDULING", "MAX_NUM_PARTIAL_PREFILLS", "MAX_LONG_PARTIAL_PREFILLS", "SCHEDULER_RESERVE_FULL_ISL",
            "DISABLE_HYBRID_KV_CACHE_MANAGER", "PREFIX_CACHING_HASH_ALGO", "STREAM_INTERVAL", "MAMBA_CACHE_DTYPE", "MAMBA_SSM_CACHE_DTYPE", "MAMBA_BLOCK_SIZE",
            "MAMBA_CACHE_MODE", "MAMBA_BACKEND", "DISABLE_ASYNC_OUTPUT_PROC", "ENABLE_LOGGING_ITERATION_DETAILS", "PERFORMANCE_MODE", "WATERMARK")
        + ignore("constrained answers are refused by this engine", "GUIDED_DECODING_BACKEND", "STRUCTURED_OUTPUTS_CONFIG", "GUIDED_DECODING_DISABLE_FALLBACK",
            "GUIDED_DECODING_DISABLE_ANY_WHITESPACE", "GUIDED_DECODING_DISABLE_ADDITIONAL_PROPERTIES", "REASONING_CONFIG", "TOOL_SERVER", "REASONING_PARSER_PLUGIN")
        + ignore("RUNPOD_LOG_LEVEL says what is logged", "DISABLE_LOG_STATS", "DISABLE_LOG_REQUESTS", "DISABLE_LOGGING_REQUEST", "ENABLE_LOG_REQUESTS", "ENABLE_LOG_OUTPUTS",
            "ENABLE_LOG_DELTAS", "LOG_ERROR_STACK", "MAX_LOG_LEN", "UVICORN_LOG_LEVEL", "DISABLE_UVICORN_ACCESS_LOG", "ENABLE_REQUEST_ID_HEADERS", "COLLECT_DETAILED_TRACES",
            "OTLP_TRACES_ENDPOINT", "SHOW_HIDDEN_METRICS_FOR_VERSION", "KV_CACHE_METRICS", "KV_CACHE_METRICS_SAMPLE", "CUDAGRAPH_METRICS", "ENABLE_MFU_METRICS",
            "PROFILER_CONFIG", "AGGREGATE_ENGINE_LOGGING", "ENABLE_SERVER_LOAD_TRACKING", "FAIL_ON_ENVIRON_VALIDATION", "LOG_CONFIG_FILE")
        + ignore("there is no server between the worker and its engine", "VLLM_PORT", "VLLM_BASE_URL", "VLLM_STARTUP_TIMEOUT", "REQUEST_TIMEOUT", "VLLM_API_KEY", "UDS",
            "ROOT_PATH", "SSL_KEYFILE", "SSL_CERTFILE", "SSL_CA_CERTS", "SSL_CERT_REQS", "SSL_CIPHERS", "ENABLE_SSL_REFRESH", "ALLOWED_ORIGINS", "ALLOWED_METHODS", "ALLOWED_HEADERS",
            "ALLOW_CREDENTIALS", "DISABLE_FASTAPI_DOCS", "ENABLE_OFFLINE_DOCS", "DISABLE_FRONTEND_MULTIPROCESSING", "H11_MAX_INCOMPLETE_EVENT_SIZE", "H11_MAX_HEADER_COUNT",
            "ENABLE_TOKENIZER_INFO_ENDPOINT", "TOKENS_ONLY", "VLLM_USE_V1", "GRPC")
        + ignore("nothing here is transferred between engines", "KV_TRANSFER_CONFIG", "KV_EVENTS_CONFIG", "EC_TRANSFER_CONFIG", "WEIGHT_TRANSFER_CONFIG", "ADDITIONAL_CONFIG",
            "OVERRIDE_ATTENTION_DTYPE", "GENERATION_TOKENS_BUDGET", "SHUTDOWN_TIMEOUT")

    private static func option(_ name: String, _ option: String, _ value: VariableValue) -> EngineVariable {
        EngineVariable(name: name, meaning: .option(option, value))
    }

    private static func setting(_ name: String, _ value: VariableValue) -> EngineVariable { EngineVariable(name: name, meaning: .setting(value)) }

    private static func refuse(_ reason: String, _ neutral: [String], _ names: String...) -> [EngineVariable] {
        names.map { EngineVariable(name: $0, meaning: .unsupported(reason, neutral: neutral)) }
    }

    private static func ignore(_ reason: String, _ names: String...) -> [EngineVariable] {
        names.map { EngineVariable(name: $0, meaning: .inapplicable(reason)) }
    }

    /// Names that the original never maps, so that they mean what they mean elsewhere.
    static let reserved: Set<String> = ["HOST", "PORT", "API_KEY", "MODEL", "CONFIG", "HELP"]

    /// Variables of neither table that read as if meant for the engine.
    static func looksMeant(_ name: String) -> Bool {
        prefixes.contains { name.hasPrefix($0) }
    }

    private static let prefixes = [
        "VLLM_", "MAX_NUM_", "MAX_MODEL_", "SPECULATIVE_", "LORA_", "TOKENIZER_", "KV_CACHE_", "GPU_MEMORY_", "ROPE_", "NUM_GPU_", "GUIDED_DECODING_",
        "TENSOR_PARALLEL_", "PIPELINE_PARALLEL_", "DATA_PARALLEL_", "MM_", "CUDA_GRAPH_", "ENABLE_", "DISABLE_", "MAX_LORA", "NEEDLETAIL_", "OPENAI_",
        "DEFAULT_BATCH_", "DEFAULT_MIN_",
    ]
}
