// Written by scripts/generate.ts from the API's OpenAPI document: `npm run fix` writes it anew.
import type { CallOptions } from "./options.ts";
import type { Pages } from "./pages.ts";

export interface components {
    schemas: {
        Agent: {
            id: string;
            name: string;
            description: string;
            labels: {
                [key: string]: string;
            };
            latest_revision: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        /**
         * Maru agent manifest
         * @description An agent, and how it is deployed
         */
        AgentManifest: {
            /**
             * @description The version of this format
             */
            apiVersion: "maru/v1";
            /**
             * @description What is described
             */
            kind: "Agent";
            /** @description What the agent is called */
            metadata: {
                /**
                 * @description The agent's name: 1 to 63 lower-case letters, digits and hyphens, a letter or digit at both ends
                 * @example weather
                 */
                name: string;
                /**
                 * @description Pairs of your own. Default: none
                 * @example {
                 *       "team": "demo"
                 *     }
                 */
                labels?: {
                    [key: string]: string;
                };
            };
            /** @description What the agent is; a change of it is a new revision */
            spec: {
                /** @description For people; the model does not see it. Default: empty */
                description?: string;
                /** @description Which model, and how it answers */
                model?: {
                    /**
                     * @description An id of GET /v1/models. Default: k-exaone
                     * @example k-exaone
                     */
                    name?: string;
                    /** @description Whether it thinks before it answers. Default: the model's own */
                    thinking?: boolean;
                    /** @description How tokens are chosen */
                    sampling?: {
                        /** @description 0 is the least random. Default: the model's own; 0 to 2 */
                        temperature?: number;
                        /** @description Only the likeliest tokens of this share are drawn from. Default: the model's own; above 0, to 1 */
                        top_p?: number;
                        /** @description Against what was said already. Default: the model's own; -2 to 2 */
                        presence_penalty?: number;
                        /** @description Makes equal requests likelier to get equal answers. Default: none */
                        seed?: number;
                    };
                    /** @description Tokens of one model step, thinking included. Default and most: the model's own */
                    maxOutputTokens?: number;
                    /** @description Models asked in this order when the first one's host fails; each step says which answered. Default: none */
                    fallbacks?: string[];
                };
                /** @description The system message */
                instructions: string;
                /** @description What the model may call, at most 128. Default: nothing */
                tools?: ({
                    /** @description What the model calls it: 1 to 64 letters, digits, underscores and hyphens */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "http";
                    /** @description What it does, what for and when: all the model knows of it beside its parameters */
                    description: string;
                    /**
                     * @description JSON Schema of the arguments, `type: object`. Default: no arguments
                     * @example {
                     *       "type": "object",
                     *       "properties": {
                     *         "city": {
                     *           "type": "string"
                     *         }
                     *       },
                     *       "required": [
                     *         "city"
                     *       ]
                     *     }
                     */
                    parameters?: {
                        [key: string]: unknown;
                    };
                    /** @description What is sent */
                    request: {
                        /**
                         * @description Default: GET
                         */
                        method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
                        /**
                         * @description Where it goes; `{name}` in its path and query is replaced by the argument
                         * @example https://api.example.com/weather?city={city}
                         */
                        url: string;
                        /**
                         * @description By name; values are templates and may have secrets
                         * @example {
                         *       "Authorization": "Bearer ${secrets.WEATHER_KEY}"
                         *     }
                         */
                        headers?: {
                            [key: string]: string;
                        };
                        /** @description Parameters beside the URL's own, by name; values are templates and may have secrets */
                        query?: {
                            [key: string]: string;
                        };
                        /** @description JSON sent as the body; a string that is just `{name}` becomes the argument itself */
                        body?: unknown;
                        /** @description Sent as the body in application/x-www-form-urlencoded, instead of `body`; an argument that is a list repeats its key */
                        form?: {
                            [key: string]: string | string[];
                        };
                    };
                    /** @description What of a reply the model reads. Errors (HTTP 400 and above) are read whole */
                    response?: {
                        /** @description A JSON pointer (RFC 6901): only what it leads to goes to the model; or several by name, which make an object. With pagination they begin at each item */
                        select?: string | {
                            [key: string]: string;
                        };
                        /**
                         * @description What the reply must be: JSON, text, or anything (what is not text is kept beside the prompt). Default: any, with select json
                         */
                        type?: "json" | "text" | "any";
                        /** @description Of the reply, all pages together; more is an error: a number of bytes, or with a unit, 64KiB or 1MiB. Default: 8MiB; 1B to 8MiB */
                        maxBytes?: number | string;
                    };
                    /** @description Reads further pages of a list; only for tools that are safe. Default: only the first */
                    pagination?: {
                        /** @description Where a page names the next: a JSON pointer, or link for the header Link with rel=next (RFC 8288) */
                        next: string;
                        /** @description What stands there: url, the next page's URL, of the same origin; or query:NAME, a value for that query parameter of the first URL. Default: url */
                        as?: string;
                        /** @description JSON pointer to a page's list; the lists of all pages are one. Default: the page is a list itself */
                        items?: string;
                        /** @description Pages read at most, 2 to 20. Default: 5 */
                        maxPages?: number;
                    };
                    /** @description Times a call that failed in passing (no connection, 408, 429, 500, 502, 503, 504) is sent again within its timeout, with the same Idempotency-Key. Default: 2 where effect is safe or idempotent; at_most_once is never sent again */
                    retries?: number;
                    /** @description Redirects followed, each through the guard; another server gets no header that has a secret. Default: 0, a redirect is an error */
                    redirects?: number;
                    /** @description Of the whole call: 500ms, 10s, 10m, 1h or 7d. Default: 30s; 100ms to 5m */
                    timeout?: string;
                    /**
                     * @description What a repeat of the call may do. safe: nothing; idempotent: nothing new with the same Idempotency-Key; at_most_once: never sent twice. Default: safe for GET and HEAD, at_most_once for every other method.
                     */
                    effect?: "safe" | "idempotent" | "at_most_once";
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                    /**
                     * @description When it can't be known whether a call that must not be repeated took effect: tell the model, fail the run, or ask a person whether to make it again. Default: tell_model
                     */
                    on_unknown?: "tell_model" | "fail" | "ask";
                    /** @description What a person who approves a call is told of its effects */
                    annotations?: {
                        /** @description What people call it. Default: its name */
                        title?: string;
                        /** @description It changes nothing. Default: true for GET and HEAD */
                        readOnly?: boolean;
                        /** @description What it changes may not be undone. Default: true for DELETE */
                        destructive?: boolean;
                    };
                } | {
                    /**
                     * @description Which one; also what the model calls it
                     */
                    name: "calculator" | "current_time" | "date_math" | "http_fetch" | "json_query" | "regex" | "text_diff";
                    /**
                     * @description The kind of tool
                     */
                    type: "builtin";
                    /** @description Of http_fetch: the only hosts it may read from, example.com, example.com:8443 or *.example.com (its subdomains). Without it the model may ask any public server for any URL, and so tell that server what it knows */
                    hosts?: string[];
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                } | {
                    /** @description What the model calls it: 1 to 64 letters, digits, underscores and hyphens */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "client";
                    /** @description What it does, what for and when: all the model knows of it beside its parameters */
                    description: string;
                    /**
                     * @description JSON Schema of the arguments, `type: object`. Default: no arguments
                     * @example {
                     *       "type": "object",
                     *       "properties": {
                     *         "city": {
                     *           "type": "string"
                     *         }
                     *       },
                     *       "required": [
                     *         "city"
                     *       ]
                     *     }
                     */
                    parameters?: {
                        [key: string]: unknown;
                    };
                } | {
                    /** @description What the model calls it: 1 to 64 letters, digits, underscores and hyphens */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "code";
                    /** @description What the model is told of it. Default: what it can do, and its limits */
                    description?: string;
                    /** @description For the code; waiting for a free process does not count: 500ms, 10s, 10m, 1h or 7d. Default: 5s; 100ms to 30s */
                    timeout?: string;
                    /** @description What the code may allocate: a number of bytes, or with a unit, 64KiB or 1MiB. Default: 32MiB; 16MiB to 128MiB */
                    memory?: number | string;
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                } | {
                    /** @description What the model calls it: 1 to 64 letters, digits, underscores and hyphens */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "function";
                    /** @description What it does, what for and when: all the model knows of it beside its parameters */
                    description: string;
                    /**
                     * @description JSON Schema of the arguments, `type: object`. Default: no arguments
                     * @example {
                     *       "type": "object",
                     *       "properties": {
                     *         "city": {
                     *           "type": "string"
                     *         }
                     *       },
                     *       "required": [
                     *         "city"
                     *       ]
                     *     }
                     */
                    parameters?: {
                        [key: string]: unknown;
                    };
                    /** @description An ES module whose default export is a function of the arguments: `export default ({ a }) => a + 1` */
                    source: string;
                    /** @description For the code; waiting for a free process does not count: 500ms, 10s, 10m, 1h or 7d. Default: 5s; 100ms to 30s */
                    timeout?: string;
                    /** @description What the code may allocate: a number of bytes, or with a unit, 64KiB or 1MiB. Default: 32MiB; 16MiB to 128MiB */
                    memory?: number | string;
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                } | {
                    /** @description Names the entry, and begins its tools' names unless toolPrefix is given */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "openapi";
                    /** @description An OpenAPI document of version 3.0, 3.1 or 3.2, by url or inline */
                    document: {
                        /** @description Fetched once, at deploy; JSON or YAML, at most 4 MiB */
                        url?: string;
                        /** @description The document itself */
                        inline?: {
                            [key: string]: unknown;
                        };
                    };
                    /** @description Where calls go. Default: the document's first server, its variables at their defaults */
                    server?: string;
                    /** @description Which operations become tools */
                    operations?: {
                        /** @description Default: all */
                        include?: string[];
                        /** @description Left out of what include chooses. Default: none */
                        exclude?: string[];
                    };
                    /** @description Sent with every call, by name. Default: none */
                    headers?: {
                        [key: string]: string;
                    };
                    /** @description Sent with every call, by name. Default: none */
                    query?: {
                        [key: string]: string;
                    };
                    /** @description Credentials by the name of the document's security scheme */
                    auth?: {
                        [key: string]: string | {
                            /** @description Of HTTP basic authentication */
                            username: string;
                            /** @description Of HTTP basic authentication */
                            password: string;
                        };
                    };
                    /** @description Of a whole call: 500ms, 10s, 10m, 1h or 7d. Default: 30s; 100ms to 5m */
                    timeout?: string;
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                    /**
                     * @description When it can't be known whether a call that must not be repeated took effect: tell the model, fail the run, or ask a person whether to make it again. Default: tell_model
                     */
                    on_unknown?: "tell_model" | "fail" | "ask";
                    /** @description What some of the operations do otherwise; of several that fit the last counts */
                    overrides?: {
                        /** @description Which */
                        operations: string[];
                        /**
                         * @description What a repeat of the call may do. safe: nothing; idempotent: nothing new with the same Idempotency-Key; at_most_once: never sent twice. Default: safe for GET and HEAD, at_most_once for every other method.
                         */
                        effect?: "safe" | "idempotent" | "at_most_once";
                        /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                        approval?: ("always" | "never") | {
                            /** @description JSON Schema: calls whose arguments fit it wait for a person */
                            when: {
                                [key: string]: unknown;
                            };
                        };
                    }[];
                    /** @description Begins the names of the tools. Default: the entry's name and an underscore */
                    toolPrefix?: string;
                } | {
                    /** @description The model knows the server's tools by this name, `_` and their own */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "mcp";
                    /**
                     * @description Of a server that is reached over HTTP
                     * @example https://mcp.example.com/mcp
                     */
                    url?: string;
                    /**
                     * @description auto: streamable HTTP, and HTTP with SSE (2024-11-05) where the server has no more. Default: auto
                     */
                    transport?: "auto" | "streamable-http" | "sse";
                    /** @description Sent with every request, by name. Default: none */
                    headers?: {
                        [key: string]: string;
                    };
                    /** @description A server on stdio, for local development only */
                    command?: string;
                    /** @description Of the command. Default: none */
                    args?: string[];
                    /** @description Environment of the command. Default: none */
                    env?: {
                        [key: string]: string;
                    };
                    /** @description Tools the model may call. Default: all */
                    allow?: string[];
                    /** @description Tools it may not call, even when allowed. Default: none */
                    deny?: string[];
                    /** @description Of a whole call: 500ms, 10s, 10m, 1h or 7d. Default: 30s; 100ms to 5m */
                    timeout?: string;
                    /**
                     * @description What a repeat of the call may do. safe: nothing; idempotent: nothing new with the same Idempotency-Key; at_most_once: never sent twice. Default: safe for GET and HEAD, at_most_once for every other method.
                     */
                    effect?: "safe" | "idempotent" | "at_most_once";
                    /** @description By the server's name of a tool: what a repeat of it may do */
                    effects?: {
                        [key: string]: "safe" | "idempotent" | "at_most_once";
                    };
                    /** @description Whether the server's hints decide what has no `effect` here: readOnlyHint is safe, idempotentHint idempotent */
                    trustAnnotations?: boolean;
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                    /** @description By the server's name of a tool: who has to approve it */
                    approvals?: {
                        [key: string]: ("always" | "never") | {
                            /** @description JSON Schema: calls whose arguments fit it wait for a person */
                            when: {
                                [key: string]: unknown;
                            };
                        };
                    };
                    /**
                     * @description When it can't be known whether a call that must not be repeated took effect: tell the model, fail the run, or ask a person whether to make it again. Default: tell_model
                     */
                    on_unknown?: "tell_model" | "fail" | "ask";
                } | {
                    /** @description What the model calls it: 1 to 64 letters, digits, underscores and hyphens */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "agent";
                    /** @description What the agent is good for */
                    description: string;
                    /** @description A deployment of this workspace; a call starts a run of it and waits for its end */
                    deployment: string;
                    /**
                     * @description JSON Schema of the arguments, `type: object`. Default: no arguments
                     * @example {
                     *       "type": "object",
                     *       "properties": {
                     *         "city": {
                     *           "type": "string"
                     *         }
                     *       },
                     *       "required": [
                     *         "city"
                     *       ]
                     *     }
                     */
                    parameters?: {
                        [key: string]: unknown;
                    };
                    /** @description How much of this run a call may take */
                    budget?: {
                        /** @description Of this run's own tokens, the most that a call may use. Default: an equal share of what is left */
                        tokens: number;
                    };
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                } | {
                    /** @description Its tools are NAME_get, NAME_set and so on */
                    name: string;
                    /**
                     * @description The kind of tool
                     */
                    type: "memory";
                    /** @description What it is for; each of its tools begins with it */
                    description?: string;
                    /**
                     * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
                     */
                    scope: "workspace" | "agent" | "thread" | "user";
                    /**
                     * @description read: the model can't change it. Default: readwrite
                     */
                    mode?: "read" | "readwrite";
                    /** @description Items a search answers. Default: 5; 1 to 20 */
                    maxResults?: number;
                    /** @description How long it remembers what is written. Without it, for good: 500ms, 10s, 10m, 1h or 7d. 1m to 365d */
                    ttl?: string;
                    /** @description Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never */
                    approval?: ("always" | "never") | {
                        /** @description JSON Schema: calls whose arguments fit it wait for a person */
                        when: {
                            [key: string]: unknown;
                        };
                    };
                })[];
                /** @description A structured answer. Default: the answer is text */
                output?: {
                    /**
                     * @description JSON Schema of the answer: the run's output is JSON of it
                     * @example {
                     *       "type": "object",
                     *       "properties": {
                     *         "celsius": {
                     *           "type": "number"
                     *         }
                     *       },
                     *       "required": [
                     *         "celsius"
                     *       ]
                     *     }
                     */
                    schema: {
                        [key: string]: unknown;
                    };
                };
                /** @description What a run may take; one that reaches a limit ends `incomplete` and keeps its work */
                limits?: {
                    /** @description Model and tool steps of a run. Default: 20; 1 to 200 */
                    steps?: number;
                    /** @description Input and output tokens of all model steps. Default: 200000; 1000 to 2000000 */
                    tokens?: number;
                    /** @description Of a run, without the time it waits for somebody: 500ms, 10s, 10m, 1h or 7d. Default: 10m; 1s to 1d */
                    duration?: string;
                    /** @description For an answer of a client or a person; then the run expires: 500ms, 10s, 10m, 1h or 7d. Default: 1d; 1s to 30d */
                    wait?: string;
                    /** @description Tool calls of one model step at a time. Default: 4; 1 to 16 */
                    parallelTools?: number;
                    /** @description Of a tool's result; the rest is cut, and said so: a number of bytes, or with a unit, 64KiB or 1MiB. Default: 64KiB; 256B to 1MiB */
                    toolOutputBytes?: number | string;
                    /** @description Times one call may run in a row with the same result. Default: 3; 1 to 20 */
                    identicalCalls?: number;
                };
                /** @description What a run knows of the past */
                memory?: {
                    /** @description Of the conversation */
                    thread?: {
                        /**
                         * @description What becomes of a thread's older part: left out, or put into a summary. Default: trim
                         */
                        strategy?: "trim" | "summarise";
                        /** @description Tokens of a thread's past, cut by whole exchanges. Default: 120000; 1000 to 1000000 */
                        maxTokens?: number;
                    };
                };
            };
            /** @description How it is deployed; a change of it is no new revision */
            deploy?: {
                /**
                 * @description What runs go to: 1 to 63 lower-case letters, digits and hyphens. Default: the agent's name
                 * @example production
                 */
                name?: string;
                /**
                 * @description What becomes of a run whose thread has one that has not ended. reject: it is refused; enqueue: it waits its turn; interrupt: it cancels those before it and takes their place. Default: reject
                 */
                onThreadBusy?: "reject" | "enqueue" | "interrupt";
                /** @description Runs of the deployment at a time, queued ones and those with a worker. Default: the plan's */
                concurrency?: number;
                /**
                 * @description What becomes of a run that a limit of pace (concurrent_runs, requests) has no room for. reject: it is refused; queue: it is accepted and waits. Default: reject
                 */
                onLimit?: "reject" | "queue";
                /** @description Default: all to the new revision */
                traffic?: {
                    /** @description Percent of new runs and threads that go to the new revision, 1 to 99; the others go where they went */
                    canary: number;
                };
                /** @description What becomes of the new revision, by how its runs end */
                canary?: {
                    /** @description When it takes all the traffic: all that is said must hold */
                    promote?: {
                        /** @description When so many runs of it ended */
                        runs?: number;
                        /** @description When it has been a canary for so long: 500ms, 10s, 10m, 1h or 7d. 1ms to 30d */
                        after?: string;
                    };
                    /** @description When it loses its traffic: anything that is exceeded. latency is the 95th percentile, without the time runs wait for somebody */
                    rollback?: {
                        /** @description Share of its runs that failed or expired, 0 to 1 */
                        errorRate?: number;
                        /** @description The 95th percentile of how long its runs take: 500ms, 10s, 10m, 1h or 7d. 1ms to 30d */
                        latency?: string;
                        /** @description US dollars a run, on average */
                        costUsd?: number;
                        /** @description Runs before it is judged. Default: 10 */
                        minRuns?: number;
                    };
                };
            };
        };
        ApiKey: {
            id: string;
            name: string;
            /** @description How the key begins, to recognise it */
            prefix: string;
            scopes: components["schemas"]["Scope"][];
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            expires_at: string | null;
            last_used_at: string | null;
            revoked_at: string | null;
            rate_limit: components["schemas"]["RateLimit"] | null;
        };
        Artifact: {
            id: string;
            run_id: string;
            /** @description The call that gave it */
            step: number;
            name: string;
            /** @description As the tool called it */
            media_type: string;
            size: number;
            /** @description Hex */
            sha256: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
        };
        CampaignExtension: {
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            ends_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            effective_at?: string;
            note?: string;
        };
        /** @description The part of the traffic that a rule judges */
        CanaryRule: {
            revision: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            since: string;
            /** @description All must hold */
            promote?: {
                runs?: number;
                after_ms?: number;
            };
            /** @description Any that is exceeded */
            rollback?: {
                error_rate?: number;
                latency_ms?: number;
                cost_micros?: number;
                min_runs: number;
            };
        };
        ChangePlanReply: {
            data: components["schemas"]["WorkspacePlan"][];
        };
        CheckQuotaBody: {
            /** @description Name of the deployment to run */
            deployment: string;
            input: string;
            thread_id?: string;
            /**
             * @description What becomes of a run whose thread has one that has not ended. reject: it is refused; enqueue: it waits its turn; interrupt: it cancels those before it and takes their place. Default: reject
             */
            on_thread_busy?: "reject" | "enqueue" | "interrupt";
            /** @description Of the agent; default: as the deployment's traffic goes */
            revision?: number;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
        };
        CreateApiKeyBody: {
            name: string;
            scopes: components["schemas"]["Scope"][];
            expires_at?: string | null;
            rate_limit?: components["schemas"]["RateLimit"] | null;
        };
        CreateRunBody: {
            /** @description Name of the deployment to run */
            deployment: string;
            input: string;
            thread_id?: string;
            /**
             * @description What becomes of a run whose thread has one that has not ended. reject: it is refused; enqueue: it waits its turn; interrupt: it cancels those before it and takes their place. Default: reject
             */
            on_thread_busy?: "reject" | "enqueue" | "interrupt";
            /** @description Of the agent; default: as the deployment's traffic goes */
            revision?: number;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
        };
        CreateRunEvent: components["schemas"]["DurableEvent"] | components["schemas"]["DeltaEvent"] | components["schemas"]["SnapshotEvent"] | components["schemas"]["ProgressEvent"];
        CreateScheduleBody: {
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
            cron: string;
            /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
            input: string;
            /** @description IANA name. Default Asia/Seoul */
            time_zone?: string;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
            thread_id?: string | null;
            /**
             * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
             */
            overlap?: "skip" | "queue" | "cancel_previous";
            missed?: {
                /**
                 * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                 */
                catch_up?: "none" | "last" | "all";
                /** @description How late a run may still be made: 1m to 1d, 1h by default */
                within?: string;
            };
            /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
            jitter?: string;
            paused?: boolean;
        };
        CreateScheduleReply: {
            id: string;
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
            cron: string;
            /** @description IANA name. Default Asia/Seoul */
            time_zone: string;
            /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
            input: string;
            /**
             * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
             */
            overlap: "skip" | "queue" | "cancel_previous";
            /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
            jitter: string;
            paused: boolean;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata: {
                [key: string]: string;
            };
            thread_id: string | null;
            missed: {
                /**
                 * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                 */
                catch_up: "none" | "last" | "all";
                /** @description How late a run may still be made: 1m to 1d, 1h by default */
                within: string;
            };
            api_key_id: string | null;
            /** @description The next five fire times, without jitter; none when it is paused */
            next_runs: string[];
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        CreateThreadBody: {
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
        };
        CreateTriggerBody: {
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
            input: string;
            /**
             * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
             */
            auth?: "token" | "standard_webhooks" | "github";
            /** @description The run's, each value a template as input is; one that comes out empty is left out */
            metadata?: {
                [key: string]: string;
            };
            filter?: {
                [key: string]: unknown;
            } | null;
            thread?: string | null;
            on_thread_busy?: ("reject" | "enqueue" | "interrupt") | null;
            enabled?: boolean;
        };
        CreateTriggerReply: {
            trigger: {
                id: string;
                /** @description Where deliveries are POSTed, below the address of the API */
                path: string;
                /** @description Unique in the workspace */
                name: string;
                /** @description Name of the deployment to run */
                deployment: string;
                /**
                 * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
                 */
                auth: "token" | "standard_webhooks" | "github";
                /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
                input: string;
                /** @description The run's, each value a template as input is; one that comes out empty is left out */
                metadata: {
                    [key: string]: string;
                };
                filter: {
                    [key: string]: unknown;
                } | null;
                thread: string | null;
                on_thread_busy: ("reject" | "enqueue" | "interrupt") | null;
                enabled: boolean;
                api_key_id: string | null;
                previous_secret_until: string | null;
                last_rejected_at: string | null;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                updated_at: string;
            };
            /** @description The token (mtr_…), or what is signed with: shown once, stored encrypted */
            secret: string;
        };
        DecideApprovalsBody: {
            approvals: {
                call_id: string;
                decision: "approve" | "reject";
                reason?: string;
                /** @description Approved with these arguments instead */
                arguments?: {
                    [key: string]: unknown;
                };
            }[];
        };
        DeleteDeploymentQuery: {
            /** @description Cancel the runs it has instead of letting them end */
            cancel_runs?: boolean;
        };
        DeleteDeploymentReply: {
            name: string;
            /** @description That had not ended */
            runs: number;
        };
        DeleteMemoryItemQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        DeleteSecretQuery: {
            agent?: string;
        };
        DeltaEvent: {
            type: "delta";
            run_id: string;
            step: number;
            kind: "reasoning" | "text" | "tool_call";
            /** @description UTF-16 units of this kind shown before this text */
            offset: number;
            text: string;
        };
        DeployQuery: {
            dry_run?: boolean;
            /** @description Why, for the history */
            note?: string;
        };
        DeployResult: {
            action: "create" | "update" | "unchanged";
            dry_run: boolean;
            deployment: components["schemas"]["Deployment"] | null;
            revision: number | null;
            digest: string;
            changes: components["schemas"]["PlanChange"][];
            /** @description What does not stand in the way of the deployment */
            warnings: components["schemas"]["DeployWarning"][];
        };
        DeployResults: {
            /** @description One a manifest, in the order of the body */
            results: components["schemas"]["DeployResult"][];
        };
        DeployWarning: {
            /** @description JSON pointer into the manifest */
            pointer: string;
            code: string;
            detail: string;
            suggestion?: string;
            line?: number;
            column?: number;
        };
        Deployment: {
            id: string;
            name: string;
            agent: string;
            revision: number;
            model: string;
            fallbacks: string[];
            on_thread_busy: "reject" | "enqueue" | "interrupt";
            on_limit: "reject" | "queue";
            concurrency: number | null;
            /** @description Number of the newest release */
            release: number;
            /** @description Where new runs go; a thread stays with the revision of its runs as long as that has a part */
            traffic: components["schemas"]["TrafficPart"][];
            canary: components["schemas"]["CanaryRule"] | null;
            paused: {
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                at: string;
                reason: string | null;
            } | null;
            health: {
                /**
                 * @description degraded: something of it does not work; failed: no run can succeed now; paused: it takes none
                 */
                status: "ready" | "degraded" | "failed" | "paused";
                /** @description What is wrong with it, and what that means for runs */
                reasons: string[];
            };
            /** @description True while answers come from the built-in simulator, not from K-EXAONE */
            simulated: boolean;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        DiffRevisionsQuery: {
            /** @description The revision compared with; default: the one before */
            with?: number;
        };
        DiffRevisionsReply: {
            agent: string;
            from: number | null;
            to: number;
            changes: components["schemas"]["PlanChange"][];
        };
        DurableEvent: components["schemas"]["RunQueuedEvent"] | components["schemas"]["RunRunningEvent"] | components["schemas"]["StepStartedEvent"] | components["schemas"]["StepFinishedEvent"] | components["schemas"]["RunWaitingEvent"] | components["schemas"]["RunEndedEvent"];
        EraseMemoryQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        /** @description What was removed, expired items included */
        ErasedMemory: {
            namespaces: number;
            items: number;
            bytes: number;
        };
        ForkRunBody: {
            /** @description The first step that is done anew; those before it are reused */
            from_step: number;
            overrides?: {
                instructions?: string;
                model?: string;
                /** @description Other results for reused tool steps */
                tool_results?: {
                    step: number;
                    output: string;
                }[];
            };
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
        };
        FoundMemoryItem: {
            key: string;
            value: unknown;
            /** @description Grows with every write */
            version: number;
            bytes: number;
            dimensions: number | null;
            run_id: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
            expires_at: string | null;
            /** @description How well it fits: 1 is best */
            score: number;
        };
        GetMemoryItemQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        GetMemoryUsageQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        /** @description updated_at is null where nobody has set a policy: then it allows everything */
        GetPolicyReply: {
            /** @description Hosts of tools, webhooks and endpoints. What is in deny is denied, also where allow has it */
            egress: {
                allow: string[] | null;
                deny: string[];
            };
            tools: {
                deny: string[];
            };
            updated_at: string | null;
        };
        GetScheduleReply: {
            id: string;
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
            cron: string;
            /** @description IANA name. Default Asia/Seoul */
            time_zone: string;
            /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
            input: string;
            /**
             * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
             */
            overlap: "skip" | "queue" | "cancel_previous";
            /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
            jitter: string;
            paused: boolean;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata: {
                [key: string]: string;
            };
            thread_id: string | null;
            missed: {
                /**
                 * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                 */
                catch_up: "none" | "last" | "all";
                /** @description How late a run may still be made: 1m to 1d, 1h by default */
                within: string;
            };
            api_key_id: string | null;
            /** @description The next five fire times, without jitter; none when it is paused */
            next_runs: string[];
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        GetSecretQuery: {
            agent?: string;
        };
        GetTriggerReply: {
            id: string;
            /** @description Where deliveries are POSTed, below the address of the API */
            path: string;
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /**
             * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
             */
            auth: "token" | "standard_webhooks" | "github";
            /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
            input: string;
            /** @description The run's, each value a template as input is; one that comes out empty is left out */
            metadata: {
                [key: string]: string;
            };
            filter: {
                [key: string]: unknown;
            } | null;
            thread: string | null;
            on_thread_busy: ("reject" | "enqueue" | "interrupt") | null;
            enabled: boolean;
            api_key_id: string | null;
            previous_secret_until: string | null;
            last_rejected_at: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        GetUsageQuery: {
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            from?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            to?: string;
            /** @description IANA name; days are cut in it */
            time_zone?: string;
            /** @description Comma-separated: day, hour, agent, deployment, model, key, user (the run's metadata.user) */
            group_by?: string;
        };
        GrantResult: {
            /** @description false: the key's grant was made before */
            granted: boolean;
            limit: number;
        };
        Health: {
            status: "ok";
            /** @description Of the gateway */
            version: string;
        };
        IncompleteReason: "max_steps" | "max_tokens" | "max_duration" | "repeated_call" | "output_truncated" | "quota";
        Jwks: {
            keys: {
                kty: "OKP";
                crv: "Ed25519";
                alg: "EdDSA";
                use: "sig";
                kid: string;
                x: string;
            }[];
        };
        LabelRevisionBody: {
            /** @description Up to 16 string pairs of your own, returned as given */
            labels: {
                [key: string]: string;
            };
        };
        LimitName: string;
        ListAgentsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListAgentsReply: {
            data: components["schemas"]["Agent"][];
            next: string | null;
        };
        ListApiKeysQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListApiKeysReply: {
            data: components["schemas"]["ApiKey"][];
            next: string | null;
        };
        ListDeploymentsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListDeploymentsReply: {
            data: components["schemas"]["Deployment"][];
            next: string | null;
        };
        ListLimitsReply: {
            data: components["schemas"]["QuotaLimit"][];
        };
        ListMemoriesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope?: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        ListMemoriesReply: {
            data: components["schemas"]["MemoryNamespace"][];
            next: string | null;
        };
        ListMemoryItemsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
            prefix?: string;
        };
        ListMemoryItemsReply: {
            data: components["schemas"]["MemoryItem"][];
            next: string | null;
        };
        ListModelsReply: {
            data: components["schemas"]["Model"][];
        };
        ListOperatorActionsReply: {
            data: components["schemas"]["OperatorAction"][];
        };
        ListPlansReply: {
            data: components["schemas"]["Plan"][];
        };
        ListReleasesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListReleasesReply: {
            data: components["schemas"]["Release"][];
            next: string | null;
        };
        ListRevisionsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListRevisionsReply: {
            data: components["schemas"]["Revision"][];
            next: string | null;
        };
        ListRunArtifactsReply: {
            data: components["schemas"]["Artifact"][];
        };
        ListRunEventsEvent: components["schemas"]["DurableEvent"] | components["schemas"]["DeltaEvent"] | components["schemas"]["SnapshotEvent"] | components["schemas"]["ProgressEvent"];
        ListRunEventsQuery: {
            after_seq?: number;
            /** @default 100 */
            limit?: number;
        };
        ListRunEventsReply: {
            data: components["schemas"]["DurableEvent"][];
            last_seq: number;
        };
        ListRunStepsReply: {
            data: components["schemas"]["Step"][];
        };
        ListRunsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
            status?: "queued" | "running" | "waiting" | "completed" | "incomplete" | "failed" | "cancelled" | "expired";
            deployment?: string;
            thread_id?: string;
            parent_run_id?: string;
            schedule_id?: string;
            trigger_id?: string;
        };
        ListRunsReply: {
            data: components["schemas"]["Run"][];
            next: string | null;
        };
        ListScheduleFiresQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListScheduleFiresReply: {
            data: {
                id: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                scheduled_at: string;
                /** @description Somebody asked for it */
                manual: boolean;
                /**
                 * @description waiting: for runs before it (overlap: queue). skipped: a run went on (overlap: skip). missed: there is no run, and code says why
                 */
                outcome: "run" | "waiting" | "skipped" | "missed";
                /** @description Fire times this entry stands for, from scheduled_at on: more than one only where they were missed. 200 = or more */
                count: number;
                run_id: string | null;
                code: string | null;
                detail: string | null;
                /**
                 * Format: date-time
                 * @description When it was acted on
                 */
                created_at: string;
            }[];
            next: string | null;
        };
        ListSchedulesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListSchedulesReply: {
            data: {
                id: string;
                /** @description Unique in the workspace */
                name: string;
                /** @description Name of the deployment to run */
                deployment: string;
                /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
                cron: string;
                /** @description IANA name. Default Asia/Seoul */
                time_zone: string;
                /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
                input: string;
                /**
                 * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
                 */
                overlap: "skip" | "queue" | "cancel_previous";
                /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
                jitter: string;
                paused: boolean;
                /** @description Up to 16 string pairs of your own, returned as given */
                metadata: {
                    [key: string]: string;
                };
                thread_id: string | null;
                missed: {
                    /**
                     * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                     */
                    catch_up: "none" | "last" | "all";
                    /** @description How late a run may still be made: 1m to 1d, 1h by default */
                    within: string;
                };
                api_key_id: string | null;
                /** @description The next five fire times, without jitter; none when it is paused */
                next_runs: string[];
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                updated_at: string;
            }[];
            next: string | null;
        };
        ListSecretsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListSecretsReply: {
            data: components["schemas"]["Secret"][];
            next: string | null;
        };
        ListThreadMessagesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListThreadMessagesReply: {
            data: components["schemas"]["ThreadMessage"][];
            next: string | null;
        };
        ListThreadsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListThreadsReply: {
            data: components["schemas"]["Thread"][];
            next: string | null;
        };
        ListTriggerDeliveriesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListTriggerDeliveriesReply: {
            data: {
                id: string;
                outcome: "run" | "repeated" | "ignored" | "refused";
                delivery_key: string | null;
                run_id: string | null;
                code: string | null;
                detail: string | null;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                at: string;
            }[];
            next: string | null;
        };
        ListTriggersQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListTriggersReply: {
            data: {
                id: string;
                /** @description Where deliveries are POSTed, below the address of the API */
                path: string;
                /** @description Unique in the workspace */
                name: string;
                /** @description Name of the deployment to run */
                deployment: string;
                /**
                 * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
                 */
                auth: "token" | "standard_webhooks" | "github";
                /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
                input: string;
                /** @description The run's, each value a template as input is; one that comes out empty is left out */
                metadata: {
                    [key: string]: string;
                };
                filter: {
                    [key: string]: unknown;
                } | null;
                thread: string | null;
                on_thread_busy: ("reject" | "enqueue" | "interrupt") | null;
                enabled: boolean;
                api_key_id: string | null;
                previous_secret_until: string | null;
                last_rejected_at: string | null;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                updated_at: string;
            }[];
            next: string | null;
        };
        ListUsageRecordsQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
            run_id?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            from?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            to?: string;
        };
        ListUsageRecordsReply: {
            data: components["schemas"]["UsageRecord"][];
            next: string | null;
        };
        ListWebhookDeliveriesQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
            /**
             * @description dead: given up after three days, by 410, or since the webhook was disabled
             */
            state?: "pending" | "delivered" | "dead";
        };
        ListWebhookDeliveriesReply: {
            data: components["schemas"]["WebhookDelivery"][];
            next: string | null;
        };
        ListWebhooksQuery: {
            /** @default 20 */
            limit?: number;
            /** @description `next` of the page before */
            after?: string;
        };
        ListWebhooksReply: {
            data: components["schemas"]["Webhook"][];
            next: string | null;
        };
        ListWorkspacePlansReply: {
            data: components["schemas"]["WorkspacePlan"][];
        };
        MemoryItem: {
            key: string;
            value: unknown;
            /** @description Grows with every write */
            version: number;
            bytes: number;
            dimensions: number | null;
            run_id: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
            expires_at: string | null;
        };
        MemoryNamespace: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            agent: string | null;
            subject: string | null;
            items: number;
            bytes: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        MemoryQuery: {
            query?: string;
            /** @description Numbers of your own embedding model; compared by cosine with those of the same length */
            embedding?: number[];
            /** @default 10 */
            limit?: number;
        };
        MemoryUsage: {
            items: number;
            bytes: number;
            /** @description Of all namespaces, with what expired in the last minutes */
            workspace_bytes: number;
            limits: {
                items: number;
                bytes: number;
                item_bytes: number;
                workspace_bytes: number;
            };
        };
        Model: {
            /** @description What a manifest calls it in spec.model.name */
            id: string;
            display_name: string;
            owner: "catalogue" | "workspace";
            provider: string;
            upstream_model: string;
            parameters: string;
            default: boolean;
            simulated: boolean;
            availability: {
                /**
                 * @description withdrawn: its host no longer has it. unserved: no host of this installation is set up to serve it.
                 */
                status: "available" | "withdrawn" | "unserved";
                reason: string | null;
                since: string | null;
            };
            market: {
                status: "hosted" | "dedicated" | "weights";
                note: string;
                as_of: string;
            } | null;
            context_tokens: number;
            max_output_tokens: number;
            thinking: {
                supported: boolean;
                control: "enable_thinking" | "thinking" | "reasoning_effort" | "always" | "never";
                default: boolean;
                /**
                 * @description Which past thinking goes back to the model
                 */
                history: "interleaved" | "preserved" | "strip";
            };
            tools: {
                native: boolean;
                parallel: boolean;
            };
            sampling: {
                temperature: number;
                top_p: number;
                presence_penalty: number;
            };
            price: {
                currency: "USD";
                input_micros_per_mtok: number;
                cached_input_micros_per_mtok: number;
                output_micros_per_mtok: number;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                from: string;
                to: string | null;
                note: string | null;
            } | null;
            licence: {
                name: string;
                note: string | null;
            } | null;
            languages: string[];
            /** @description Published scores. One that is missing was not published where we looked. */
            benchmarks: {
                benchmark: string;
                score: number;
                mode: string | null;
                /** @description Who published it; scores of different sources do not compare exactly */
                source: string;
            }[];
            /** @description Fields nobody published, which have a cautious working value here */
            assumed: {
                [key: string]: string;
            };
            endpoint: {
                base_url: string;
                dialect: "friendli" | "vllm" | "sglang" | "openai" | "z.ai" | "upstage" | "clova";
                stream: boolean;
                key_hint: string | null;
                calls_per_minute: number | null;
                in_flight: number | null;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                updated_at: string;
            } | null;
        };
        ModelEndpointChange: {
            /** @description The model's name at the endpoint */
            upstream_model?: string;
            /** @description https URL of an OpenAI-compatible API, ending before /chat/completions */
            base_url?: string;
            context_tokens?: number;
            api_key?: string | null;
            /**
             * @description Default: by the host's name, else vllm
             */
            dialect?: "friendli" | "vllm" | "sglang" | "openai" | "z.ai" | "upstage" | "clova";
            /** @description False for an endpoint that can't stream. Default true */
            stream?: boolean;
            max_output_tokens?: number;
            /** @description Default: a model that does not think */
            thinking?: {
                control: "enable_thinking" | "thinking" | "reasoning_effort" | "always" | "never";
                default?: boolean;
                history?: "interleaved" | "preserved" | "strip";
                /** @description Words for reasoning_effort */
                effort?: {
                    on: string;
                    off: string | null;
                };
            };
            tools?: {
                native: boolean;
                parallel: boolean;
            };
            calls_per_minute?: number | null;
            in_flight?: number | null;
        };
        NewApiKey: {
            api_key: components["schemas"]["ApiKey"];
            /** @description The key itself: shown once, stored only as a hash */
            key: string;
        };
        NewMemoryItem: {
            /** @description Any JSON; its texts and the key are what a search finds */
            value: unknown;
            /** @description Seconds until it is gone. Without one it stays */
            ttl?: number;
            /** @description Numbers of your own embedding model; compared by cosine with those of the same length */
            embedding?: number[];
        };
        NewModelEndpoint: {
            name: string;
            /** @description The model's name at the endpoint */
            upstream_model: string;
            /** @description https URL of an OpenAI-compatible API, ending before /chat/completions */
            base_url: string;
            context_tokens: number;
            /** @description Sent as a bearer token; stored encrypted and never shown again */
            api_key?: string;
            /**
             * @description Default: by the host's name, else vllm
             */
            dialect?: "friendli" | "vllm" | "sglang" | "openai" | "z.ai" | "upstage" | "clova";
            /** @description False for an endpoint that can't stream. Default true */
            stream?: boolean;
            max_output_tokens?: number;
            /** @description Default: a model that does not think */
            thinking?: {
                control: "enable_thinking" | "thinking" | "reasoning_effort" | "always" | "never";
                default?: boolean;
                history?: "interleaved" | "preserved" | "strip";
                /** @description Words for reasoning_effort */
                effort?: {
                    on: string;
                    off: string | null;
                };
            };
            tools?: {
                native: boolean;
                parallel: boolean;
            };
            calls_per_minute?: number | null;
            in_flight?: number | null;
        };
        NewPlan: {
            id: string;
            renew: "monthly" | "none" | "campaign";
            time_zone: string;
            through_day?: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            starts_at?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            ends_at?: string;
            grace_seconds?: number;
            limits: {
                name?: string;
                unit: components["schemas"]["QuotaUnit"];
                amount: number;
                subject?: "workspace" | "api_key" | "deployment" | "end_user";
                /** @description `period`: the plan's own; else a rolling span: 60s, 1m, 1h, 1d, at most 366d */
                per?: string;
            }[];
            note?: string;
        };
        NewWebhook: {
            /** @description https; events are sent there by POST */
            url: string;
            events: ("run.*" | "run.completed" | "run.incomplete" | "run.failed" | "run.cancelled" | "run.expired" | "run.waiting" | "deployment.*" | "deployment.created" | "deployment.updated" | "quota.*" | "quota.threshold_reached" | "quota.window_ending" | "schedule.*" | "schedule.missed")[];
            description?: string;
            /** @description False: it is told of nothing, and what is due meanwhile is given up */
            enabled?: boolean;
        };
        OperatorAction: {
            action: string;
            arguments: {
                [key: string]: unknown;
            };
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
        };
        PauseBody: {
            /** @description Why, for the history */
            note?: string;
        };
        /** @description `period`: the plan's own; else a rolling span: 60s, 1m, 1h, 1d, at most 366d */
        Per: string;
        Plan: {
            id: string;
            renew: "monthly" | "none" | "campaign";
            time_zone: string;
            through_day: number;
            grace_seconds: number;
            limits: {
                name: string;
                unit: components["schemas"]["QuotaUnit"];
                amount: number;
                subject: components["schemas"]["QuotaSubject"];
                per: string | null;
            }[];
            terms: {
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                starts_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                ends_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                effective_at: string;
                note: string;
            }[];
        };
        PlanChange: {
            /** @description JSON pointer into the normalised manifest */
            path: string;
            op: "add" | "remove" | "change";
            before?: unknown;
            after?: unknown;
            /** @description Of a long text: unified diff */
            diff?: string;
        };
        PlanChangeRequest: {
            plan: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            from?: string;
            note?: string;
        };
        Problem: {
            /**
             * Format: uri-reference
             * @description Identifies the kind of problem
             */
            type: string;
            title: string;
            status: number;
            code: "invalid_json" | "empty_body" | "validation_failed" | "unknown_field" | "forbidden_key" | "invalid_string" | "invalid_header" | "invalid_cursor" | "key_in_url" | "not_found" | "method_not_allowed" | "not_acceptable" | "request_timeout" | "body_too_deep" | "body_too_large" | "result_too_large" | "unsupported_media_type" | "headers_too_large" | "missing_credentials" | "invalid_credentials" | "invalid_token" | "token_expired" | "insufficient_scope" | "read_only" | "name_taken" | "email_taken" | "idempotency_mismatch" | "idempotency_in_progress" | "run_finished" | "already_answered" | "not_answerable" | "step_not_finished" | "wait_expired" | "payload_expired" | "thread_busy" | "thread_full" | "thread_in_use" | "webhook_disabled" | "trigger_disabled" | "deployment_paused" | "nothing_to_release" | "traffic_invalid" | "precondition_failed" | "manifest_syntax" | "manifest_too_deep" | "manifest_invalid" | "yaml_alias_forbidden" | "yaml_tag_forbidden" | "duplicate_key" | "unresolved_reference" | "unsupported_version" | "invalid_name" | "duplicate_deployment" | "duplicate_tool" | "duplicate_model" | "model_unserved" | "unknown_model" | "limit_out_of_range" | "tool_schema_invalid" | "source_invalid" | "unknown_agent" | "agent_cycle" | "template_error" | "url_not_allowed" | "host_denied" | "tool_denied" | "header_not_allowed" | "secret_not_found" | "secret_not_allowed_here" | "effect_class_invalid" | "document_unavailable" | "document_invalid" | "operation_not_found" | "operation_invalid" | "auth_missing" | "mcp_unreachable" | "mcp_tool_not_found" | "mcp_tool_unusable" | "mcp_transport_forbidden" | "cron_invalid" | "unknown_time_zone" | "filter_invalid" | "memory_full" | "rate_limited" | "too_many_attempts" | "quota_exhausted" | "concurrency_exceeded" | "queue_full" | "run_too_large" | "too_many_limits" | "free_tier_not_begun" | "free_tier_ended" | "plan_conflict" | "internal" | "unavailable";
            detail?: string;
            /** @description The request id */
            instance?: string;
            /**
             * Format: uri-reference
             * @description Where the problem is explained
             */
            doc: string;
            errors?: components["schemas"]["ProblemDetail"][];
            retry_after_ms?: number;
            /**
             * Format: date-time
             * @description When the free tier ended
             */
            ends_at?: string;
            /**
             * Format: date-time
             * @description When the limit has room again, as far as it is known
             */
            resets_at?: string;
            /** @description Name of the limit that refused the call */
            limit?: string;
        };
        ProblemDetail: {
            /** @description JSON pointer into the body, `?name` for a query parameter, `header:Name` */
            pointer: string;
            code: string;
            detail: string;
            line?: number;
            column?: number;
            suggestion?: string;
            /** @description Of several manifests in one body: which of them, from 1 */
            document?: number;
        };
        ProgressEvent: {
            type: "progress";
            run_id: string;
            /** @description The call that goes on */
            step: number;
            /** @description How far it is; grows with each event */
            progress: number;
            /** @description What it will be at the end, where that is known */
            total?: number;
            /** @description In the tool's words, for people */
            message?: string;
        };
        PromoteBody: {
            revision?: number;
            /** @description Why, for the history */
            note?: string;
        };
        PutMemoryItemQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        PutPolicyBody: {
            /** @description Hosts of tools, webhooks and endpoints. What is in deny is denied, also where allow has it */
            egress: {
                allow: string[] | null;
                deny: string[];
            };
            tools: {
                deny: string[];
            };
        };
        /** @description updated_at is null where nobody has set a policy: then it allows everything */
        PutPolicyReply: {
            /** @description Hosts of tools, webhooks and endpoints. What is in deny is denied, also where allow has it */
            egress: {
                allow: string[] | null;
                deny: string[];
            };
            tools: {
                deny: string[];
            };
            updated_at: string | null;
        };
        PutSecretBody: {
            value: string;
            agent?: string;
        };
        Quota: {
            plan: string;
            renew: "monthly" | "none" | "campaign";
            next_plan: {
                plan: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                from: string;
            } | null;
            /** @description Runs admitted before a window's end may go on for so long after it, and count in it */
            grace_seconds: number;
            windows: components["schemas"]["QuotaWindow"][];
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            as_of: string;
        };
        QuotaAudit: {
            exact: boolean;
            findings: {
                finding: string;
                subject: string;
                expected: number;
                found: number;
            }[];
        };
        QuotaCheck: {
            admitted: boolean;
            /** @description It would wait its turn: in its thread, or for a limit of pace */
            enqueued: boolean;
            holds: {
                limit: string;
                subject: components["schemas"]["QuotaSubject"];
                unit: components["schemas"]["QuotaUnit"];
                /** @description Held until the model reports what it used */
                amount: number;
                /** @description What is left of the window then */
                remaining: number;
            }[];
            refusal: {
                /** @description What POST /v1/runs would answer */
                code: string;
                status: number;
                detail: string;
                limit: string | null;
                frees_at: string | null;
                ended_at: string | null;
            } | null;
        };
        QuotaGrant: {
            limit: string;
            amount: number;
            key: string;
            note?: string;
        };
        QuotaLimit: {
            name: components["schemas"]["LimitName"];
            unit: components["schemas"]["QuotaUnit"];
            subject: components["schemas"]["QuotaSubject"];
            subject_id: string | null;
            per: string | null;
            amount: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        QuotaLimitFields: {
            unit: components["schemas"]["QuotaUnit"];
            amount: number;
            subject?: "workspace" | "api_key" | "deployment" | "end_user";
            subject_id?: string;
            /** @description `period`: the plan's own; else a rolling span: 60s, 1m, 1h, 1d, at most 366d */
            per?: string;
        };
        /** @description 80 % or all of it is used, or it ends within three days: said once a window */
        QuotaNotice: {
            kind: "used_80" | "used_100" | "ending";
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
        };
        QuotaSubject: "workspace" | "api_key" | "deployment" | "end_user";
        QuotaUnit: "tokens" | "input_tokens" | "cached_input_tokens" | "output_tokens" | "cost_micros" | "runs" | "requests" | "concurrent_runs" | "run_tokens";
        QuotaWindow: {
            /** @description The limit's name, as problems say it */
            name: string;
            unit: components["schemas"]["QuotaUnit"];
            subject: components["schemas"]["QuotaSubject"];
            subject_id: string | null;
            /** @description Set by the workspace itself, not by its plan */
            own: boolean;
            limit: number;
            used: number;
            /** @description Held by runs in flight; what they don't use comes back */
            reserved: number;
            /** @description limit − used − reserved, never below zero */
            remaining: number;
            /** @description What a model reported beyond its reservation */
            overdraft: number;
            /** @description Part of the limit that was granted on top of the plan's */
            granted: number;
            per: string | null;
            /**
             * @description What happens when it is used up. renews: a new window begins at resets_at; ends: nothing may be used after ends_at; rolls: what was used leaves the span bit by bit, first at resets_at; frees: when runs in flight end
             */
            after: "renews" | "ends" | "rolls" | "frees";
            started_at: string | null;
            ends_at: string | null;
            last_day: string | null;
            time_zone: string;
            resets_at: string | null;
            days_left: number | null;
            notices: components["schemas"]["QuotaNotice"][];
        };
        RateLimit: {
            /** @description Calls a minute in the long run */
            per_minute: number;
            /** @description Calls that may come at once */
            burst: number;
        };
        Readiness: {
            status: "ready" | "not_ready";
            /** @description One entry a dependency */
            checks: {
                [key: string]: {
                    ok: boolean;
                    detail?: string;
                };
            };
        };
        /** @description JSON of at most 256 KiB */
        ReceiveHookBody: unknown;
        /** @description JSON of at most 256 KiB */
        ReceiveHookByTokenBody: unknown;
        ReceiveHookByTokenReply: {
            /**
             * @description repeated: it came before, and run_id is its run. ignored: it does not fit the filter
             */
            outcome: "run" | "repeated" | "ignored";
            run_id: string | null;
        };
        ReceiveHookReply: {
            /**
             * @description repeated: it came before, and run_id is its run. ignored: it does not fit the filter
             */
            outcome: "run" | "repeated" | "ignored";
            run_id: string | null;
        };
        RegisterBody: {
            /** Format: email */
            email: string;
            password: string;
            workspace?: string;
        };
        RegisterReply: {
            user: components["schemas"]["User"];
            workspace: components["schemas"]["Workspace"];
            tokens: components["schemas"]["TokenPair"];
        };
        Release: {
            number: number;
            kind: "deploy" | "canary" | "traffic" | "promote" | "rollback" | "pause" | "resume" | "delete";
            /** @description The main one */
            revision: number;
            /** @description Of that revision's manifest */
            digest: string;
            traffic: components["schemas"]["TrafficPart"][];
            reason: string | null;
            note: string | null;
            /** @description An API key, a user, or `rule` */
            by: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
        };
        RequiredAction: {
            /**
             * Format: date-time
             * @description Unanswered by then, the run ends as expired
             */
            expires_at: string;
            /** @description Calls of client-side tools: answer with POST /v1/runs/{run}/tool-results */
            tool_results: {
                /** @description The question's id, unique in the run: answers name it */
                call_id: string;
                /** @description The call's step in the journal */
                step: number;
                /** @description The tool */
                name: string;
                /** @description JSON, as the model wrote it */
                arguments: string;
            }[];
            /** @description Calls a person decides on: answer with POST /v1/runs/{run}/approvals */
            approvals: {
                /** @description The question's id, unique in the run: answers name it */
                call_id: string;
                /** @description The call's step in the journal */
                step: number;
                /** @description The tool */
                name: string;
                /** @description JSON, as the model wrote it */
                arguments: string;
                /**
                 * @description approval: may the call be made? outcome: it was made once and a crash hid what came of it: shall it be made again?
                 */
                question: "approval" | "outcome";
                /** @description What is said of the tool's effects; nothing holds it to that */
                annotations?: {
                    title?: string;
                    /** @description It changes nothing */
                    read_only?: boolean;
                    /** @description What it changes may not be undone */
                    destructive?: boolean;
                };
            }[];
            /** @description Runs of other agents it waits for: nobody has to answer, but one of them may ask somebody itself */
            runs: {
                run_id: string;
                step: number;
                /** @description The tool */
                name: string;
            }[];
        };
        ResumeBody: {
            /** @description Why, for the history */
            note?: string;
        };
        Revision: {
            agent: string;
            number: number;
            /** @description SHA-256 of the normalised manifest, hex */
            digest: string;
            /** @description The manifest with every default filled in */
            spec: {
                [key: string]: unknown;
            };
            /** @description Up to 16 string pairs of your own, returned as given */
            labels: {
                [key: string]: string;
            };
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
        };
        RollbackBody: {
            release?: number;
            /** @description Why, for the history */
            note?: string;
        };
        RotateTriggerSecretReply: {
            trigger: {
                id: string;
                /** @description Where deliveries are POSTed, below the address of the API */
                path: string;
                /** @description Unique in the workspace */
                name: string;
                /** @description Name of the deployment to run */
                deployment: string;
                /**
                 * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
                 */
                auth: "token" | "standard_webhooks" | "github";
                /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
                input: string;
                /** @description The run's, each value a template as input is; one that comes out empty is left out */
                metadata: {
                    [key: string]: string;
                };
                filter: {
                    [key: string]: unknown;
                } | null;
                thread: string | null;
                on_thread_busy: ("reject" | "enqueue" | "interrupt") | null;
                enabled: boolean;
                api_key_id: string | null;
                previous_secret_until: string | null;
                last_rejected_at: string | null;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                created_at: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                updated_at: string;
            };
            /** @description The token (mtr_…), or what is signed with: shown once, stored encrypted */
            secret: string;
        };
        Run: {
            id: string;
            status: components["schemas"]["RunStatus"];
            deployment: string;
            agent: string;
            revision: number;
            model: string;
            /** @description True when an answer of it came from the built-in simulator, or will */
            simulated: boolean;
            thread_id: string | null;
            input: string;
            output: string | null;
            incomplete_reason: components["schemas"]["IncompleteReason"] | null;
            error: components["schemas"]["RunError"] | null;
            required_action: components["schemas"]["RequiredAction"] | null;
            usage: components["schemas"]["Usage"];
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata: {
                [key: string]: string;
            };
            forked_from: {
                run_id: string;
                step: number;
            } | null;
            parent: {
                run_id: string;
                step: number;
            } | null;
            source: {
                type: "schedule" | "trigger";
                id: string;
            } | null;
            /** @description Runs below this one that have ended, and what they used beside its own usage */
            descendants: {
                runs: number;
                total_tokens: number;
                cost_micros: number;
            };
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            started_at: string | null;
            finished_at: string | null;
            payload_expired_at: string | null;
        };
        RunEndedEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "run.completed" | "run.incomplete" | "run.failed" | "run.cancelled" | "run.expired";
            run_id: string;
            run: components["schemas"]["Run"];
        };
        RunError: {
            code: string;
            message: string;
            /**
             * Format: date-time
             * @description When the model's host lets itself be asked again, where it said so
             */
            retry_at?: string;
        };
        RunQueuedEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "run.queued";
            run_id: string;
        };
        RunRunningEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "run.running";
            run_id: string;
            attempt: number;
        };
        RunStatus: "queued" | "running" | "waiting" | "completed" | "incomplete" | "failed" | "cancelled" | "expired";
        RunWaitingEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "run.waiting";
            run_id: string;
            required_action: components["schemas"]["RequiredAction"];
        };
        Scope: "agents:read" | "agents:write" | "runs:read" | "runs:write" | "runs:approve" | "usage:read" | "quota:manage" | "keys:manage" | "webhooks:manage" | "secrets:manage" | "schedules:read" | "schedules:write" | "triggers:read" | "triggers:write" | "policy:manage" | "memory:read" | "memory:write";
        SearchMemoryQuery: {
            /**
             * @description Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user
             */
            scope: "workspace" | "agent" | "thread" | "user";
            /** @description The agent, for every scope but workspace. It need not exist */
            agent?: string;
            /** @description For thread its id, for user the end user as runs name it in metadata.user */
            subject?: string;
        };
        SearchMemoryReply: {
            data: components["schemas"]["FoundMemoryItem"][];
        };
        /** @description All there is to read of a secret: its value goes to tools only */
        Secret: {
            name: string;
            agent: string | null;
            /** @description Grows with every value */
            version: number;
            /** @description Which of the installation's keys wraps it: changes when that is rotated */
            key_id: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
            last_used_at: string | null;
        };
        SetTrafficBody: {
            split: components["schemas"]["TrafficPart"][];
            /** @description Why, for the history */
            note?: string;
        };
        SnapshotEvent: {
            type: "snapshot";
            run_id: string;
            step: number;
            reasoning: string;
            text: string;
            tool_call: string;
        };
        Step: {
            seq: number;
            /**
             * @description approval: a person's decision on a call; input: a client-side tool's result; run: another agent's run that was called
             */
            kind: "model" | "tool" | "approval" | "input" | "run";
            /**
             * @description waiting: not begun, or not answered; unknown: it may have taken effect, and was not repeated
             */
            state: "waiting" | "started" | "done" | "error" | "unknown";
            /** @description The model or the tool */
            name: string;
            attempt: number;
            /** @description The claim that finished it, or has it open: grows with each worker */
            epoch: number;
            /** @description Taken over from the run this one is a fork of, free of charge */
            reused: boolean;
            /** @description SHA-256 of what the step was given, hex: a replay gives the same */
            input_digest?: string;
            /** @description Of a call of another agent: the run it started */
            child_run_id?: string;
            reasoning?: string;
            text?: string;
            tool_calls?: components["schemas"]["StepToolCall"][];
            call_id?: string;
            arguments?: string;
            output?: string;
            /** @description What the call gave beside its text: GET /v1/artifacts/{artifact} */
            artifacts?: {
                id: string;
                name: string;
                media_type: string;
                size: number;
            }[];
            /** @description Of an approval: the step of the call */
            call_step?: number;
            question?: "approval" | "outcome";
            /**
             * @description none: the run ended before anybody decided
             */
            decision?: "approve" | "reject" | "none";
            reason?: string;
            /** @description The arguments the call was approved with instead */
            edited_arguments?: string;
            /** @description The API key or the user */
            answered_by?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            answered_at?: string;
            error_code?: string;
            error_message?: string;
            /** @description The catalogue's id of the model that answered: the agent's own, or a fallback */
            model?: string;
            /** @description True when a simulator answered in its place */
            simulated?: boolean;
            /** @description The name its host answered with */
            upstream_model?: string;
            /** @description Attempts before the answer, with why they gave none: a fallback is never silent */
            tried?: {
                model: string;
                code: string;
                message: string;
            }[];
            /** @description Set when the text is a summary of the thread: how many of its messages it takes in */
            summarised_messages?: number;
            finish_reason?: string;
            input_tokens?: number;
            cached_input_tokens?: number;
            output_tokens?: number;
            cost_micros?: number;
            /** @description True when a host reported no usage for it */
            usage_estimated?: boolean;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            started_at: string;
            finished_at: string | null;
        };
        StepFinishedEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "step.finished";
            run_id: string;
            step: components["schemas"]["Step"];
        };
        StepStartedEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
            type: "step.started";
            run_id: string;
            step: number;
            kind: "model" | "tool" | "approval" | "input" | "run";
            name: string;
            call?: {
                id: string;
                name: string;
                arguments: string;
            };
            /** @description Of a call of another agent: the run it starts */
            child_run_id?: string;
        };
        StepToolCall: {
            id: string;
            name: string;
            arguments: string;
        };
        SubmitToolResultsBody: {
            tool_results: {
                call_id: string;
                output: string;
                /** @description The tool failed; output says how */
                is_error?: boolean;
            }[];
        };
        Thread: {
            id: string;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata: {
                [key: string]: string;
            };
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        ThreadMessage: {
            seq: number;
            run_id: string;
            role: "user" | "assistant" | "tool";
            content: string;
            tool_calls?: components["schemas"]["StepToolCall"][];
            tool_call_id?: string;
            name?: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
        };
        TokenBody: {
            grant_type: "password";
            email: string;
            password: string;
        } | {
            grant_type: "refresh_token";
            refresh_token: string;
        };
        TokenPair: {
            token_type: "Bearer";
            /** @description JWT, EdDSA */
            access_token: string;
            /** @description Seconds the access token lives */
            expires_in: number;
            /** @description One use: every refresh answers a new one */
            refresh_token: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            refresh_expires_at: string;
        };
        TrafficPart: {
            revision: number;
            percent: number;
        };
        UpdateScheduleBody: {
            /** @description Unique in the workspace */
            name?: string;
            /** @description Name of the deployment to run */
            deployment?: string;
            /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
            cron?: string;
            /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
            input?: string;
            /** @description IANA name. Default Asia/Seoul */
            time_zone?: string;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata?: {
                [key: string]: string;
            };
            thread_id?: string | null;
            /**
             * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
             */
            overlap?: "skip" | "queue" | "cancel_previous";
            missed?: {
                /**
                 * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                 */
                catch_up?: "none" | "last" | "all";
                /** @description How late a run may still be made: 1m to 1d, 1h by default */
                within?: string;
            };
            /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
            jitter?: string;
            paused?: boolean;
        };
        UpdateScheduleReply: {
            id: string;
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /** @description Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do */
            cron: string;
            /** @description IANA name. Default Asia/Seoul */
            time_zone: string;
            /** @description {{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name */
            input: string;
            /**
             * @description What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled
             */
            overlap: "skip" | "queue" | "cancel_previous";
            /** @description Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once */
            jitter: string;
            paused: boolean;
            /** @description Up to 16 string pairs of your own, returned as given */
            metadata: {
                [key: string]: string;
            };
            thread_id: string | null;
            missed: {
                /**
                 * @description What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is
                 */
                catch_up: "none" | "last" | "all";
                /** @description How late a run may still be made: 1m to 1d, 1h by default */
                within: string;
            };
            api_key_id: string | null;
            /** @description The next five fire times, without jitter; none when it is paused */
            next_runs: string[];
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        UpdateTriggerBody: {
            /** @description Unique in the workspace */
            name?: string;
            /** @description Name of the deployment to run */
            deployment?: string;
            /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
            input?: string;
            /** @description The run's, each value a template as input is; one that comes out empty is left out */
            metadata?: {
                [key: string]: string;
            };
            filter?: {
                [key: string]: unknown;
            } | null;
            thread?: string | null;
            on_thread_busy?: ("reject" | "enqueue" | "interrupt") | null;
            enabled?: boolean;
        };
        UpdateTriggerReply: {
            id: string;
            /** @description Where deliveries are POSTed, below the address of the API */
            path: string;
            /** @description Unique in the workspace */
            name: string;
            /** @description Name of the deployment to run */
            deployment: string;
            /**
             * @description How a sender shows who it is. token (default): it shows the secret. standard_webhooks: it signs as Standard Webhooks say. github: it signs the body in X-Hub-Signature-256
             */
            auth: "token" | "standard_webhooks" | "github";
            /** @description The run's: {{/issue/title}} is what the JSON pointer stands for in the body (text as it is, anything else as JSON, nothing where there is nothing), {{body}} the whole body, {{name}} the trigger's name */
            input: string;
            /** @description The run's, each value a template as input is; one that comes out empty is left out */
            metadata: {
                [key: string]: string;
            };
            filter: {
                [key: string]: unknown;
            } | null;
            thread: string | null;
            on_thread_busy: ("reject" | "enqueue" | "interrupt") | null;
            enabled: boolean;
            api_key_id: string | null;
            previous_secret_until: string | null;
            last_rejected_at: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        Usage: {
            input_tokens: number;
            cached_input_tokens: number;
            output_tokens: number;
            total_tokens: number;
            model_calls: number;
            tool_calls: number;
            /** @description Millionths of a US dollar by the catalogue's price at the time */
            cost_micros: number;
            /** @description True when a host reported no usage and Maru counted itself */
            estimated: boolean;
        };
        UsageGroup: {
            /** @description The group's values, by the names asked for */
            key: {
                [key: string]: string;
            };
            runs: number;
            model_calls: number;
            input_tokens: number;
            cached_input_tokens: number;
            output_tokens: number;
            total_tokens: number;
            cost_micros: number;
        };
        UsageRecord: {
            id: string;
            run_id: string;
            step: number;
            agent: string;
            deployment: string;
            model: string;
            user: string | null;
            input_tokens: number;
            cached_input_tokens: number;
            output_tokens: number;
            cost_micros: number;
            estimated: boolean;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            at: string;
        };
        UsageReport: {
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            from: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            to: string;
            time_zone: string;
            group_by: string[];
            data: components["schemas"]["UsageGroup"][];
            total: components["schemas"]["UsageGroup"];
        };
        User: {
            id: string;
            email: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
        };
        Webhook: {
            id: string;
            /** @description https; events are sent there by POST */
            url: string;
            events: ("run.*" | "run.completed" | "run.incomplete" | "run.failed" | "run.cancelled" | "run.expired" | "run.waiting" | "deployment.*" | "deployment.created" | "deployment.updated" | "quota.*" | "quota.threshold_reached" | "quota.window_ending" | "schedule.*" | "schedule.missed")[];
            description: string;
            /** @description False: it is told of nothing, and what is due meanwhile is given up */
            enabled: boolean;
            disabled_reason: "gone" | null;
            previous_secret_until: string | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            updated_at: string;
        };
        WebhookChange: {
            /** @description https; events are sent there by POST */
            url?: string;
            events?: ("run.*" | "run.completed" | "run.incomplete" | "run.failed" | "run.cancelled" | "run.expired" | "run.waiting" | "deployment.*" | "deployment.created" | "deployment.updated" | "quota.*" | "quota.threshold_reached" | "quota.window_ending" | "schedule.*" | "schedule.missed")[];
            description?: string;
            /** @description False: it is told of nothing, and what is due meanwhile is given up */
            enabled?: boolean;
        };
        WebhookDelivery: {
            id: string;
            event: {
                /** @description The header webhook-id: the same on every try and redelivery */
                id: string;
                type: string;
                /**
                 * Format: date-time
                 * @description RFC 3339, UTC
                 */
                timestamp: string;
                data: {
                    [key: string]: unknown;
                };
            };
            state: components["schemas"]["WebhookDeliveryState"];
            attempts: number;
            next_attempt_at: string | null;
            last_status: number | null;
            last_error: ("http_status" | "redirect" | "timeout" | "unreachable" | "egress_blocked" | "policy_denied" | "secret_unreadable" | "webhook_disabled") | null;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
            last_attempt_at: string | null;
            finished_at: string | null;
        };
        /**
         * @description dead: given up after three days, by 410, or since the webhook was disabled
         */
        WebhookDeliveryState: "pending" | "delivered" | "dead";
        WebhookWithSecret: {
            webhook: components["schemas"]["Webhook"];
            /** @description whsec_…: shown once, stored encrypted */
            secret: string;
        };
        WhoamiReply: {
            workspace: components["schemas"]["Workspace"];
            user: components["schemas"]["User"] | null;
            scopes: components["schemas"]["Scope"][];
        };
        Workspace: {
            id: string;
            name: string;
            plan: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            created_at: string;
        };
        WorkspacePlan: {
            plan: string;
            /**
             * Format: date-time
             * @description RFC 3339, UTC
             */
            from: string;
            note: string;
        };
    };
}
export type Agent = components['schemas']['Agent'];
export type AgentManifest = components['schemas']['AgentManifest'];
export type ApiKey = components['schemas']['ApiKey'];
export type Artifact = components['schemas']['Artifact'];
export type CampaignExtension = components['schemas']['CampaignExtension'];
export type CanaryRule = components['schemas']['CanaryRule'];
export type ChangePlanReply = components['schemas']['ChangePlanReply'];
export type CheckQuotaBody = components['schemas']['CheckQuotaBody'];
export type CreateApiKeyBody = components['schemas']['CreateApiKeyBody'];
export type CreateRunBody = components['schemas']['CreateRunBody'];
export type CreateRunEvent = components['schemas']['CreateRunEvent'];
export type CreateScheduleBody = components['schemas']['CreateScheduleBody'];
export type CreateScheduleReply = components['schemas']['CreateScheduleReply'];
export type CreateThreadBody = components['schemas']['CreateThreadBody'];
export type CreateTriggerBody = components['schemas']['CreateTriggerBody'];
export type CreateTriggerReply = components['schemas']['CreateTriggerReply'];
export type DecideApprovalsBody = components['schemas']['DecideApprovalsBody'];
export type DeleteDeploymentQuery = components['schemas']['DeleteDeploymentQuery'];
export type DeleteDeploymentReply = components['schemas']['DeleteDeploymentReply'];
export type DeleteMemoryItemQuery = components['schemas']['DeleteMemoryItemQuery'];
export type DeleteSecretQuery = components['schemas']['DeleteSecretQuery'];
export type DeltaEvent = components['schemas']['DeltaEvent'];
export type DeployQuery = components['schemas']['DeployQuery'];
export type DeployResult = components['schemas']['DeployResult'];
export type DeployResults = components['schemas']['DeployResults'];
export type DeployWarning = components['schemas']['DeployWarning'];
export type Deployment = components['schemas']['Deployment'];
export type DiffRevisionsQuery = components['schemas']['DiffRevisionsQuery'];
export type DiffRevisionsReply = components['schemas']['DiffRevisionsReply'];
export type DurableEvent = components['schemas']['DurableEvent'];
export type EraseMemoryQuery = components['schemas']['EraseMemoryQuery'];
export type ErasedMemory = components['schemas']['ErasedMemory'];
export type ForkRunBody = components['schemas']['ForkRunBody'];
export type FoundMemoryItem = components['schemas']['FoundMemoryItem'];
export type GetMemoryItemQuery = components['schemas']['GetMemoryItemQuery'];
export type GetMemoryUsageQuery = components['schemas']['GetMemoryUsageQuery'];
export type GetPolicyReply = components['schemas']['GetPolicyReply'];
export type GetScheduleReply = components['schemas']['GetScheduleReply'];
export type GetSecretQuery = components['schemas']['GetSecretQuery'];
export type GetTriggerReply = components['schemas']['GetTriggerReply'];
export type GetUsageQuery = components['schemas']['GetUsageQuery'];
export type GrantResult = components['schemas']['GrantResult'];
export type Health = components['schemas']['Health'];
export type IncompleteReason = components['schemas']['IncompleteReason'];
export type Jwks = components['schemas']['Jwks'];
export type LabelRevisionBody = components['schemas']['LabelRevisionBody'];
export type LimitName = components['schemas']['LimitName'];
export type ListAgentsQuery = components['schemas']['ListAgentsQuery'];
export type ListAgentsReply = components['schemas']['ListAgentsReply'];
export type ListApiKeysQuery = components['schemas']['ListApiKeysQuery'];
export type ListApiKeysReply = components['schemas']['ListApiKeysReply'];
export type ListDeploymentsQuery = components['schemas']['ListDeploymentsQuery'];
export type ListDeploymentsReply = components['schemas']['ListDeploymentsReply'];
export type ListLimitsReply = components['schemas']['ListLimitsReply'];
export type ListMemoriesQuery = components['schemas']['ListMemoriesQuery'];
export type ListMemoriesReply = components['schemas']['ListMemoriesReply'];
export type ListMemoryItemsQuery = components['schemas']['ListMemoryItemsQuery'];
export type ListMemoryItemsReply = components['schemas']['ListMemoryItemsReply'];
export type ListModelsReply = components['schemas']['ListModelsReply'];
export type ListOperatorActionsReply = components['schemas']['ListOperatorActionsReply'];
export type ListPlansReply = components['schemas']['ListPlansReply'];
export type ListReleasesQuery = components['schemas']['ListReleasesQuery'];
export type ListReleasesReply = components['schemas']['ListReleasesReply'];
export type ListRevisionsQuery = components['schemas']['ListRevisionsQuery'];
export type ListRevisionsReply = components['schemas']['ListRevisionsReply'];
export type ListRunArtifactsReply = components['schemas']['ListRunArtifactsReply'];
export type ListRunEventsEvent = components['schemas']['ListRunEventsEvent'];
export type ListRunEventsQuery = components['schemas']['ListRunEventsQuery'];
export type ListRunEventsReply = components['schemas']['ListRunEventsReply'];
export type ListRunStepsReply = components['schemas']['ListRunStepsReply'];
export type ListRunsQuery = components['schemas']['ListRunsQuery'];
export type ListRunsReply = components['schemas']['ListRunsReply'];
export type ListScheduleFiresQuery = components['schemas']['ListScheduleFiresQuery'];
export type ListScheduleFiresReply = components['schemas']['ListScheduleFiresReply'];
export type ListSchedulesQuery = components['schemas']['ListSchedulesQuery'];
export type ListSchedulesReply = components['schemas']['ListSchedulesReply'];
export type ListSecretsQuery = components['schemas']['ListSecretsQuery'];
export type ListSecretsReply = components['schemas']['ListSecretsReply'];
export type ListThreadMessagesQuery = components['schemas']['ListThreadMessagesQuery'];
export type ListThreadMessagesReply = components['schemas']['ListThreadMessagesReply'];
export type ListThreadsQuery = components['schemas']['ListThreadsQuery'];
export type ListThreadsReply = components['schemas']['ListThreadsReply'];
export type ListTriggerDeliveriesQuery = components['schemas']['ListTriggerDeliveriesQuery'];
export type ListTriggerDeliveriesReply = components['schemas']['ListTriggerDeliveriesReply'];
export type ListTriggersQuery = components['schemas']['ListTriggersQuery'];
export type ListTriggersReply = components['schemas']['ListTriggersReply'];
export type ListUsageRecordsQuery = components['schemas']['ListUsageRecordsQuery'];
export type ListUsageRecordsReply = components['schemas']['ListUsageRecordsReply'];
export type ListWebhookDeliveriesQuery = components['schemas']['ListWebhookDeliveriesQuery'];
export type ListWebhookDeliveriesReply = components['schemas']['ListWebhookDeliveriesReply'];
export type ListWebhooksQuery = components['schemas']['ListWebhooksQuery'];
export type ListWebhooksReply = components['schemas']['ListWebhooksReply'];
export type ListWorkspacePlansReply = components['schemas']['ListWorkspacePlansReply'];
export type MemoryItem = components['schemas']['MemoryItem'];
export type MemoryNamespace = components['schemas']['MemoryNamespace'];
export type MemoryQuery = components['schemas']['MemoryQuery'];
export type MemoryUsage = components['schemas']['MemoryUsage'];
export type Model = components['schemas']['Model'];
export type ModelEndpointChange = components['schemas']['ModelEndpointChange'];
export type NewApiKey = components['schemas']['NewApiKey'];
export type NewMemoryItem = components['schemas']['NewMemoryItem'];
export type NewModelEndpoint = components['schemas']['NewModelEndpoint'];
export type NewPlan = components['schemas']['NewPlan'];
export type NewWebhook = components['schemas']['NewWebhook'];
export type OperatorAction = components['schemas']['OperatorAction'];
export type PauseBody = components['schemas']['PauseBody'];
export type Per = components['schemas']['Per'];
export type Plan = components['schemas']['Plan'];
export type PlanChange = components['schemas']['PlanChange'];
export type PlanChangeRequest = components['schemas']['PlanChangeRequest'];
export type Problem = components['schemas']['Problem'];
export type ProblemDetail = components['schemas']['ProblemDetail'];
export type ProgressEvent = components['schemas']['ProgressEvent'];
export type PromoteBody = components['schemas']['PromoteBody'];
export type PutMemoryItemQuery = components['schemas']['PutMemoryItemQuery'];
export type PutPolicyBody = components['schemas']['PutPolicyBody'];
export type PutPolicyReply = components['schemas']['PutPolicyReply'];
export type PutSecretBody = components['schemas']['PutSecretBody'];
export type Quota = components['schemas']['Quota'];
export type QuotaAudit = components['schemas']['QuotaAudit'];
export type QuotaCheck = components['schemas']['QuotaCheck'];
export type QuotaGrant = components['schemas']['QuotaGrant'];
export type QuotaLimit = components['schemas']['QuotaLimit'];
export type QuotaLimitFields = components['schemas']['QuotaLimitFields'];
export type QuotaNotice = components['schemas']['QuotaNotice'];
export type QuotaSubject = components['schemas']['QuotaSubject'];
export type QuotaUnit = components['schemas']['QuotaUnit'];
export type QuotaWindow = components['schemas']['QuotaWindow'];
export type RateLimit = components['schemas']['RateLimit'];
export type Readiness = components['schemas']['Readiness'];
export type ReceiveHookBody = components['schemas']['ReceiveHookBody'];
export type ReceiveHookByTokenBody = components['schemas']['ReceiveHookByTokenBody'];
export type ReceiveHookByTokenReply = components['schemas']['ReceiveHookByTokenReply'];
export type ReceiveHookReply = components['schemas']['ReceiveHookReply'];
export type RegisterBody = components['schemas']['RegisterBody'];
export type RegisterReply = components['schemas']['RegisterReply'];
export type Release = components['schemas']['Release'];
export type RequiredAction = components['schemas']['RequiredAction'];
export type ResumeBody = components['schemas']['ResumeBody'];
export type Revision = components['schemas']['Revision'];
export type RollbackBody = components['schemas']['RollbackBody'];
export type RotateTriggerSecretReply = components['schemas']['RotateTriggerSecretReply'];
export type Run = components['schemas']['Run'];
export type RunEndedEvent = components['schemas']['RunEndedEvent'];
export type RunError = components['schemas']['RunError'];
export type RunQueuedEvent = components['schemas']['RunQueuedEvent'];
export type RunRunningEvent = components['schemas']['RunRunningEvent'];
export type RunStatus = components['schemas']['RunStatus'];
export type RunWaitingEvent = components['schemas']['RunWaitingEvent'];
export type Scope = components['schemas']['Scope'];
export type SearchMemoryQuery = components['schemas']['SearchMemoryQuery'];
export type SearchMemoryReply = components['schemas']['SearchMemoryReply'];
export type Secret = components['schemas']['Secret'];
export type SetTrafficBody = components['schemas']['SetTrafficBody'];
export type SnapshotEvent = components['schemas']['SnapshotEvent'];
export type Step = components['schemas']['Step'];
export type StepFinishedEvent = components['schemas']['StepFinishedEvent'];
export type StepStartedEvent = components['schemas']['StepStartedEvent'];
export type StepToolCall = components['schemas']['StepToolCall'];
export type SubmitToolResultsBody = components['schemas']['SubmitToolResultsBody'];
export type Thread = components['schemas']['Thread'];
export type ThreadMessage = components['schemas']['ThreadMessage'];
export type TokenBody = components['schemas']['TokenBody'];
export type TokenPair = components['schemas']['TokenPair'];
export type TrafficPart = components['schemas']['TrafficPart'];
export type UpdateScheduleBody = components['schemas']['UpdateScheduleBody'];
export type UpdateScheduleReply = components['schemas']['UpdateScheduleReply'];
export type UpdateTriggerBody = components['schemas']['UpdateTriggerBody'];
export type UpdateTriggerReply = components['schemas']['UpdateTriggerReply'];
export type Usage = components['schemas']['Usage'];
export type UsageGroup = components['schemas']['UsageGroup'];
export type UsageRecord = components['schemas']['UsageRecord'];
export type UsageReport = components['schemas']['UsageReport'];
export type User = components['schemas']['User'];
export type Webhook = components['schemas']['Webhook'];
export type WebhookChange = components['schemas']['WebhookChange'];
export type WebhookDelivery = components['schemas']['WebhookDelivery'];
export type WebhookDeliveryState = components['schemas']['WebhookDeliveryState'];
export type WebhookWithSecret = components['schemas']['WebhookWithSecret'];
export type WhoamiReply = components['schemas']['WhoamiReply'];
export type Workspace = components['schemas']['Workspace'];
export type WorkspacePlan = components['schemas']['WorkspacePlan'];

/** What each operation takes and gives; null where it takes or has none. */
export interface Operations {
  register: {
    params: null;
    query: null;
    body: RegisterBody;
    reply: RegisterReply;
    event: null;
  };
  token: {
    params: null;
    query: null;
    body: TokenBody;
    reply: TokenPair;
    event: null;
  };
  logout: {
    params: null;
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  whoami: {
    params: null;
    query: null;
    body: null;
    reply: WhoamiReply;
    event: null;
  };
  jwks: {
    params: null;
    query: null;
    body: null;
    reply: Jwks;
    event: null;
  };
  createApiKey: {
    params: null;
    query: null;
    body: CreateApiKeyBody;
    reply: NewApiKey;
    event: null;
  };
  listApiKeys: {
    params: null;
    query: ListApiKeysQuery;
    body: null;
    reply: ListApiKeysReply;
    event: null;
  };
  getApiKey: {
    params: { key: string };
    query: null;
    body: null;
    reply: ApiKey;
    event: null;
  };
  revokeApiKey: {
    params: { key: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  deploy: {
    params: null;
    query: DeployQuery;
    body: AgentManifest | string;
    reply: DeployResult | DeployResults;
    event: null;
  };
  listDeployments: {
    params: null;
    query: ListDeploymentsQuery;
    body: null;
    reply: ListDeploymentsReply;
    event: null;
  };
  getDeployment: {
    params: { deployment: string };
    query: null;
    body: null;
    reply: Deployment;
    event: null;
  };
  deleteDeployment: {
    params: { deployment: string };
    query: DeleteDeploymentQuery;
    body: null;
    reply: DeleteDeploymentReply;
    event: null;
  };
  getDeploymentManifest: {
    params: { deployment: string };
    query: null;
    body: null;
    reply: AgentManifest;
    event: null;
  };
  listReleases: {
    params: { deployment: string };
    query: ListReleasesQuery;
    body: null;
    reply: ListReleasesReply;
    event: null;
  };
  setTraffic: {
    params: { deployment: string };
    query: null;
    body: SetTrafficBody;
    reply: Deployment;
    event: null;
  };
  promote: {
    params: { deployment: string };
    query: null;
    body: PromoteBody;
    reply: Deployment;
    event: null;
  };
  rollback: {
    params: { deployment: string };
    query: null;
    body: RollbackBody;
    reply: Deployment;
    event: null;
  };
  pause: {
    params: { deployment: string };
    query: null;
    body: PauseBody;
    reply: Deployment;
    event: null;
  };
  resume: {
    params: { deployment: string };
    query: null;
    body: ResumeBody;
    reply: Deployment;
    event: null;
  };
  listAgents: {
    params: null;
    query: ListAgentsQuery;
    body: null;
    reply: ListAgentsReply;
    event: null;
  };
  getAgent: {
    params: { agent: string };
    query: null;
    body: null;
    reply: Agent;
    event: null;
  };
  listRevisions: {
    params: { agent: string };
    query: ListRevisionsQuery;
    body: null;
    reply: ListRevisionsReply;
    event: null;
  };
  getRevision: {
    params: { agent: string; number: number };
    query: null;
    body: null;
    reply: Revision;
    event: null;
  };
  labelRevision: {
    params: { agent: string; number: number };
    query: null;
    body: LabelRevisionBody;
    reply: Revision;
    event: null;
  };
  getRevisionManifest: {
    params: { agent: string; number: number };
    query: null;
    body: null;
    reply: AgentManifest;
    event: null;
  };
  diffRevisions: {
    params: { agent: string; number: number };
    query: DiffRevisionsQuery;
    body: null;
    reply: DiffRevisionsReply;
    event: null;
  };
  createRun: {
    params: null;
    query: null;
    body: CreateRunBody;
    reply: Run;
    event: CreateRunEvent;
  };
  listRuns: {
    params: null;
    query: ListRunsQuery;
    body: null;
    reply: ListRunsReply;
    event: null;
  };
  getRun: {
    params: { run: string };
    query: null;
    body: null;
    reply: Run;
    event: null;
  };
  listRunEvents: {
    params: { run: string };
    query: ListRunEventsQuery;
    body: null;
    reply: ListRunEventsReply;
    event: ListRunEventsEvent;
  };
  listRunSteps: {
    params: { run: string };
    query: null;
    body: null;
    reply: ListRunStepsReply;
    event: null;
  };
  listRunArtifacts: {
    params: { run: string };
    query: null;
    body: null;
    reply: ListRunArtifactsReply;
    event: null;
  };
  getArtifact: {
    params: { artifact: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  cancelRun: {
    params: { run: string };
    query: null;
    body: null;
    reply: Run;
    event: null;
  };
  submitToolResults: {
    params: { run: string };
    query: null;
    body: SubmitToolResultsBody;
    reply: Run;
    event: null;
  };
  decideApprovals: {
    params: { run: string };
    query: null;
    body: DecideApprovalsBody;
    reply: Run;
    event: null;
  };
  forkRun: {
    params: { run: string };
    query: null;
    body: ForkRunBody;
    reply: Run;
    event: null;
  };
  createThread: {
    params: null;
    query: null;
    body: CreateThreadBody;
    reply: Thread;
    event: null;
  };
  listThreads: {
    params: null;
    query: ListThreadsQuery;
    body: null;
    reply: ListThreadsReply;
    event: null;
  };
  getThread: {
    params: { thread: string };
    query: null;
    body: null;
    reply: Thread;
    event: null;
  };
  deleteThread: {
    params: { thread: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  listThreadMessages: {
    params: { thread: string };
    query: ListThreadMessagesQuery;
    body: null;
    reply: ListThreadMessagesReply;
    event: null;
  };
  listModels: {
    params: null;
    query: null;
    body: null;
    reply: ListModelsReply;
    event: null;
  };
  createModel: {
    params: null;
    query: null;
    body: NewModelEndpoint;
    reply: Model;
    event: null;
  };
  getModel: {
    params: { model: string };
    query: null;
    body: null;
    reply: Model;
    event: null;
  };
  updateModel: {
    params: { model: string };
    query: null;
    body: ModelEndpointChange;
    reply: Model;
    event: null;
  };
  deleteModel: {
    params: { model: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  putSecret: {
    params: { name: string };
    query: null;
    body: PutSecretBody;
    reply: Secret;
    event: null;
  };
  getSecret: {
    params: { name: string };
    query: GetSecretQuery;
    body: null;
    reply: Secret;
    event: null;
  };
  deleteSecret: {
    params: { name: string };
    query: DeleteSecretQuery;
    body: null;
    reply: undefined;
    event: null;
  };
  listSecrets: {
    params: null;
    query: ListSecretsQuery;
    body: null;
    reply: ListSecretsReply;
    event: null;
  };
  getPolicy: {
    params: null;
    query: null;
    body: null;
    reply: GetPolicyReply;
    event: null;
  };
  putPolicy: {
    params: null;
    query: null;
    body: PutPolicyBody;
    reply: PutPolicyReply;
    event: null;
  };
  listMemories: {
    params: null;
    query: ListMemoriesQuery;
    body: null;
    reply: ListMemoriesReply;
    event: null;
  };
  eraseMemory: {
    params: null;
    query: EraseMemoryQuery;
    body: null;
    reply: ErasedMemory;
    event: null;
  };
  getMemoryUsage: {
    params: null;
    query: GetMemoryUsageQuery;
    body: null;
    reply: MemoryUsage;
    event: null;
  };
  listMemoryItems: {
    params: null;
    query: ListMemoryItemsQuery;
    body: null;
    reply: ListMemoryItemsReply;
    event: null;
  };
  putMemoryItem: {
    params: { key: string };
    query: PutMemoryItemQuery;
    body: NewMemoryItem;
    reply: MemoryItem;
    event: null;
  };
  getMemoryItem: {
    params: { key: string };
    query: GetMemoryItemQuery;
    body: null;
    reply: MemoryItem;
    event: null;
  };
  deleteMemoryItem: {
    params: { key: string };
    query: DeleteMemoryItemQuery;
    body: null;
    reply: undefined;
    event: null;
  };
  searchMemory: {
    params: null;
    query: SearchMemoryQuery;
    body: MemoryQuery;
    reply: SearchMemoryReply;
    event: null;
  };
  getQuota: {
    params: null;
    query: null;
    body: null;
    reply: Quota;
    event: null;
  };
  auditQuota: {
    params: null;
    query: null;
    body: null;
    reply: QuotaAudit;
    event: null;
  };
  checkQuota: {
    params: null;
    query: null;
    body: CheckQuotaBody;
    reply: QuotaCheck;
    event: null;
  };
  listLimits: {
    params: null;
    query: null;
    body: null;
    reply: ListLimitsReply;
    event: null;
  };
  setLimit: {
    params: { name: string };
    query: null;
    body: QuotaLimitFields;
    reply: QuotaLimit;
    event: null;
  };
  deleteLimit: {
    params: { name: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  getUsage: {
    params: null;
    query: GetUsageQuery;
    body: null;
    reply: UsageReport;
    event: null;
  };
  listUsageRecords: {
    params: null;
    query: ListUsageRecordsQuery;
    body: null;
    reply: ListUsageRecordsReply;
    event: null;
  };
  createSchedule: {
    params: null;
    query: null;
    body: CreateScheduleBody;
    reply: CreateScheduleReply;
    event: null;
  };
  listSchedules: {
    params: null;
    query: ListSchedulesQuery;
    body: null;
    reply: ListSchedulesReply;
    event: null;
  };
  getSchedule: {
    params: { schedule: string };
    query: null;
    body: null;
    reply: GetScheduleReply;
    event: null;
  };
  updateSchedule: {
    params: { schedule: string };
    query: null;
    body: UpdateScheduleBody;
    reply: UpdateScheduleReply;
    event: null;
  };
  deleteSchedule: {
    params: { schedule: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  runSchedule: {
    params: { schedule: string };
    query: null;
    body: null;
    reply: Run;
    event: null;
  };
  listScheduleFires: {
    params: { schedule: string };
    query: ListScheduleFiresQuery;
    body: null;
    reply: ListScheduleFiresReply;
    event: null;
  };
  createTrigger: {
    params: null;
    query: null;
    body: CreateTriggerBody;
    reply: CreateTriggerReply;
    event: null;
  };
  listTriggers: {
    params: null;
    query: ListTriggersQuery;
    body: null;
    reply: ListTriggersReply;
    event: null;
  };
  getTrigger: {
    params: { trigger: string };
    query: null;
    body: null;
    reply: GetTriggerReply;
    event: null;
  };
  updateTrigger: {
    params: { trigger: string };
    query: null;
    body: UpdateTriggerBody;
    reply: UpdateTriggerReply;
    event: null;
  };
  deleteTrigger: {
    params: { trigger: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  rotateTriggerSecret: {
    params: { trigger: string };
    query: null;
    body: null;
    reply: RotateTriggerSecretReply;
    event: null;
  };
  listTriggerDeliveries: {
    params: { trigger: string };
    query: ListTriggerDeliveriesQuery;
    body: null;
    reply: ListTriggerDeliveriesReply;
    event: null;
  };
  receiveHook: {
    params: { trigger: string };
    query: null;
    body: ReceiveHookBody;
    reply: ReceiveHookReply;
    event: null;
  };
  receiveHookByToken: {
    params: { trigger: string; token: string };
    query: null;
    body: ReceiveHookByTokenBody;
    reply: ReceiveHookByTokenReply;
    event: null;
  };
  createWebhook: {
    params: null;
    query: null;
    body: NewWebhook;
    reply: WebhookWithSecret;
    event: null;
  };
  listWebhooks: {
    params: null;
    query: ListWebhooksQuery;
    body: null;
    reply: ListWebhooksReply;
    event: null;
  };
  getWebhook: {
    params: { webhook: string };
    query: null;
    body: null;
    reply: Webhook;
    event: null;
  };
  updateWebhook: {
    params: { webhook: string };
    query: null;
    body: WebhookChange;
    reply: Webhook;
    event: null;
  };
  deleteWebhook: {
    params: { webhook: string };
    query: null;
    body: null;
    reply: undefined;
    event: null;
  };
  rotateWebhookSecret: {
    params: { webhook: string };
    query: null;
    body: null;
    reply: WebhookWithSecret;
    event: null;
  };
  testWebhook: {
    params: { webhook: string };
    query: null;
    body: null;
    reply: WebhookDelivery;
    event: null;
  };
  listWebhookDeliveries: {
    params: { webhook: string };
    query: ListWebhookDeliveriesQuery;
    body: null;
    reply: ListWebhookDeliveriesReply;
    event: null;
  };
  redeliverWebhook: {
    params: { webhook: string; delivery: string };
    query: null;
    body: null;
    reply: WebhookDelivery;
    event: null;
  };
  health: {
    params: null;
    query: null;
    body: null;
    reply: Health;
    event: null;
  };
  ready: {
    params: null;
    query: null;
    body: null;
    reply: Readiness;
    event: null;
  };
  listPlans: {
    params: null;
    query: null;
    body: null;
    reply: ListPlansReply;
    event: null;
  };
  createPlan: {
    params: null;
    query: null;
    body: NewPlan;
    reply: Plan;
    event: null;
  };
  extendCampaign: {
    params: { plan: string };
    query: null;
    body: CampaignExtension;
    reply: Plan;
    event: null;
  };
  listWorkspacePlans: {
    params: { workspace: string };
    query: null;
    body: null;
    reply: ListWorkspacePlansReply;
    event: null;
  };
  changePlan: {
    params: { workspace: string };
    query: null;
    body: PlanChangeRequest;
    reply: ChangePlanReply;
    event: null;
  };
  grantQuota: {
    params: { workspace: string };
    query: null;
    body: QuotaGrant;
    reply: GrantResult;
    event: null;
  };
  listOperatorActions: {
    params: null;
    query: null;
    body: null;
    reply: ListOperatorActionsReply;
    event: null;
  };
}

/** The calls of the API by what they are about. */
export interface Resources {
  readonly auth: {
    /** Create an account with its own workspace. */
    register(body: RegisterBody, options?: CallOptions): Promise<RegisterReply>;
    /**
     * Sign in, or exchange a refresh token for a new pair.
     * A refresh token works once. Using an old one again ends the whole session, since one of its two users is a thief.
     */
    token(body: TokenBody, options?: CallOptions): Promise<TokenPair>;
    /** End the session the access token belongs to. */
    logout(options?: CallOptions): Promise<void>;
    /**
     * Who the credentials belong to and what they allow.
     * Needs the scope `runs:read`.
     */
    whoami(options?: CallOptions): Promise<WhoamiReply>;
    /** Public keys that verify access tokens (RFC 7517). */
    jwks(options?: CallOptions): Promise<Jwks>;
  };
  readonly keys: {
    /**
     * Create an API key; the reply is the only time it is shown.
     * `rate_limit` is a limit of calls of the key's own, up to the workspace's; without it the key has the installation's, or that of the key that makes it.
     * Needs the scope `keys:manage`.
     */
    create(body: CreateApiKeyBody, options?: CallOptions): Promise<NewApiKey>;
    /**
     * The workspace's API keys, newest first.
     * Needs the scope `keys:manage`.
     */
    list(query?: ListApiKeysQuery, options?: CallOptions): Pages<ApiKey, ListApiKeysReply>;
    /**
     * One API key.
     * Needs the scope `keys:manage`.
     */
    get(key: string, options?: CallOptions): Promise<ApiKey>;
    /**
     * Revoke an API key; every gateway refuses it within five seconds.
     * Needs the scope `keys:manage`.
     */
    revoke(key: string, options?: CallOptions): Promise<void>;
  };
  readonly deployments: {
    /**
     * Deploy a manifest: creates or rolls forward; the same manifest again changes nothing.
     * With `dry_run=true` the reply is the plan and nothing is written. `If-Match` guards against a lost update. Several manifests with `---` between them are deployed together or not at all, and answered as `application/vnd.maru.deploy-results+json`.
     * Needs the scope `agents:write`.
     */
    deploy(body: AgentManifest | string, query?: DeployQuery, options?: CallOptions): Promise<DeployResult | DeployResults>;
    /**
     * The workspace's deployments, newest first.
     * Needs the scope `agents:read`.
     */
    list(query?: ListDeploymentsQuery, options?: CallOptions): Pages<Deployment, ListDeploymentsReply>;
    /**
     * One deployment.
     * Needs the scope `agents:read`.
     */
    get(deployment: string, options?: CallOptions): Promise<Deployment>;
    /**
     * Delete a deployment: it takes no more runs, those it has come to their end.
     * Needs the scope `agents:write`.
     */
    delete(deployment: string, query?: DeleteDeploymentQuery, options?: CallOptions): Promise<DeleteDeploymentReply>;
    /**
     * The manifest of the deployment as it is: deployed again it changes nothing.
     * YAML, or JSON where `Accept` names it. Defaults are left out. Of a canary it is the new revision's, with its part of the traffic and its rule.
     * Needs the scope `agents:read`.
     */
    getManifest(deployment: string, options?: CallOptions): Promise<AgentManifest>;
    /**
     * What became of the deployment, newest first.
     * Needs the scope `agents:read`.
     */
    releases(deployment: string, query?: ListReleasesQuery, options?: CallOptions): Pages<Release, ListReleasesReply>;
    /**
     * Split new runs and threads between revisions.
     * Needs the scope `agents:write`.
     */
    setTraffic(deployment: string, body: SetTrafficBody, options?: CallOptions): Promise<Deployment>;
    /**
     * Send all new runs to the canary, or to the revision that is named.
     * Needs the scope `agents:write`.
     */
    promote(deployment: string, body?: PromoteBody, options?: CallOptions): Promise<Deployment>;
    /**
     * Send all new runs back: off the canary, else to the revision before, or to that of the release that is named.
     * Needs the scope `agents:write`.
     */
    rollback(deployment: string, body?: RollbackBody, options?: CallOptions): Promise<Deployment>;
    /**
     * Take no new runs; those there are go on.
     * Needs the scope `agents:write`.
     */
    pause(deployment: string, body?: PauseBody, options?: CallOptions): Promise<Deployment>;
    /**
     * Take new runs again.
     * Needs the scope `agents:write`.
     */
    resume(deployment: string, body?: ResumeBody, options?: CallOptions): Promise<Deployment>;
  };
  readonly agents: {
    /**
     * The workspace's agents, newest first.
     * Needs the scope `agents:read`.
     */
    list(query?: ListAgentsQuery, options?: CallOptions): Pages<Agent, ListAgentsReply>;
    /**
     * One agent.
     * Needs the scope `agents:read`.
     */
    get(agent: string, options?: CallOptions): Promise<Agent>;
    /**
     * The agent's revisions, newest first.
     * Needs the scope `agents:read`.
     */
    revisions(agent: string, query?: ListRevisionsQuery, options?: CallOptions): Pages<Revision, ListRevisionsReply>;
    /**
     * One revision, with the manifest as it runs.
     * Needs the scope `agents:read`.
     */
    getRevision(agent: string, number: number, options?: CallOptions): Promise<Revision>;
    /**
     * Set a revision's labels; one that has any is kept for good.
     * Needs the scope `agents:write`.
     */
    labelRevision(agent: string, number: number, body: LabelRevisionBody, options?: CallOptions): Promise<Revision>;
    /**
     * The manifest of a revision, without what it says of a deployment.
     * YAML, or JSON where `Accept` names it. Defaults are left out.
     * Needs the scope `agents:read`.
     */
    getRevisionManifest(agent: string, number: number, options?: CallOptions): Promise<AgentManifest>;
    /**
     * What a revision changes, field by field; long texts as a unified diff.
     * Needs the scope `agents:read`.
     */
    diffRevisions(agent: string, number: number, query?: DiffRevisionsQuery, options?: CallOptions): Promise<DiffRevisionsReply>;
  };
  readonly runs: {
    /**
     * Start a run.
     * Answers 202 at once. `Prefer: wait=N` (1 to 60 seconds) waits for the end, or until somebody has to answer, and answers 200 when that came in time. `Accept: text/event-stream` streams the run's events.
     * Needs the scope `runs:write`.
     */
    create(body: CreateRunBody, options?: CallOptions): Promise<Run>;
    /**
     * The workspace's runs, newest first.
     * Needs the scope `runs:read`.
     */
    list(query?: ListRunsQuery, options?: CallOptions): Pages<Run, ListRunsReply>;
    /**
     * One run.
     * Needs the scope `runs:read`.
     */
    get(run: string, options?: CallOptions): Promise<Run>;
    /**
     * The run's events: JSON, or with `Accept: text/event-stream` a stream until the run ends.
     * A stream resumes after `Last-Event-ID`; one that has nothing left to say answers 204, which ends a browser's EventSource. The JSON form pages by `after_seq`.
     * Needs the scope `runs:read`.
     */
    events(run: string, query?: ListRunEventsQuery, options?: CallOptions): Pages<DurableEvent, ListRunEventsReply>;
    /**
     * The run's journal, in order.
     * Needs the scope `runs:read`.
     */
    steps(run: string, options?: CallOptions): Pages<Step, ListRunStepsReply>;
    /**
     * What the run's tools gave beside text: pictures, files, the whole of a text that was cut.
     * Needs the scope `runs:read`.
     */
    artifacts(run: string, options?: CallOptions): Pages<Artifact, ListRunArtifactsReply>;
    /**
     * Cancel a run: at once when it is queued or waiting, else as soon as its worker hears of it.
     * 200: it has ended, now or before, and a run that had ended is unchanged. 202: its worker is told.
     * Needs the scope `runs:write`.
     */
    cancel(run: string, options?: CallOptions): Promise<Run>;
    /**
     * Give results of client-side tools a run waits for.
     * All of the request is taken or nothing of it. The run goes on when nothing is left to wait for. The same result again changes nothing; another one is refused.
     * Needs the scope `runs:write`.
     */
    submitToolResults(run: string, body: SubmitToolResultsBody, options?: CallOptions): Promise<Run>;
    /**
     * Approve or reject calls a run waits for.
     * Who decided and when is in the journal. `arguments` approves the call with other arguments, which must fit the tool's parameters; the model is told of them.
     * Needs the scope `runs:approve`.
     */
    decideApprovals(run: string, body: DecideApprovalsBody, options?: CallOptions): Promise<Run>;
    /**
     * Start a run that reuses another's journal up to a step, with changes.
     * Steps before `from_step` are reused and cost nothing; from there on everything is done anew, tools included, with the changed instructions, model or tool results.
     * Needs the scope `runs:write`.
     */
    fork(run: string, body: ForkRunBody, options?: CallOptions): Promise<Run>;
  };
  readonly artifacts: {
    /**
     * The bytes of an artifact, to be saved: tools made them, so no browser should show them as a page.
     * Needs the scope `runs:read`.
     */
    get(artifact: string, options?: CallOptions): Promise<Response>;
  };
  readonly threads: {
    /**
     * Create a thread: runs that name it share a conversation.
     * Needs the scope `runs:write`.
     */
    create(body?: CreateThreadBody, options?: CallOptions): Promise<Thread>;
    /**
     * The workspace's threads, newest first.
     * Needs the scope `runs:read`.
     */
    list(query?: ListThreadsQuery, options?: CallOptions): Pages<Thread, ListThreadsReply>;
    /**
     * One thread.
     * Needs the scope `runs:read`.
     */
    get(thread: string, options?: CallOptions): Promise<Thread>;
    /**
     * Delete a thread and its messages; its runs stay.
     * Needs the scope `runs:write`.
     */
    delete(thread: string, options?: CallOptions): Promise<void>;
    /**
     * The thread's conversation, oldest first.
     * Needs the scope `runs:read`.
     */
    messages(thread: string, query?: ListThreadMessagesQuery, options?: CallOptions): Pages<ThreadMessage, ListThreadMessagesReply>;
  };
  readonly models: {
    /**
     * The models agents may run on: the catalogue's, and the workspace's own endpoints.
     * Needs the scope `agents:read`.
     */
    list(options?: CallOptions): Pages<Model, ListModelsReply>;
    /**
     * Add an OpenAI-compatible endpoint of one's own as a model of this workspace.
     * Needs the scope `agents:write`.
     */
    create(body: NewModelEndpoint, options?: CallOptions): Promise<Model>;
    /**
     * One model of the catalogue.
     * Needs the scope `agents:read`.
     */
    get(model: string, options?: CallOptions): Promise<Model>;
    /**
     * Change one's own endpoint, or its key.
     * Needs the scope `agents:write`.
     */
    update(model: string, body: ModelEndpointChange, options?: CallOptions): Promise<Model>;
    /**
     * Remove one's own endpoint; deployments that use it become degraded.
     * Needs the scope `agents:write`.
     */
    delete(model: string, options?: CallOptions): Promise<void>;
  };
  readonly secrets: {
    /**
     * Set a secret of the workspace or of one agent; no call ever answers its value.
     * The agent need not exist yet. Calls made from now on use the new value. An agent's own secret hides the workspace's of the same name.
     * Needs the scope `secrets:manage`.
     */
    put(name: string, body: PutSecretBody, options?: CallOptions): Promise<Secret>;
    /**
     * One secret, without its value: the workspace's, or with `agent` that agent's own.
     * Needs the scope `secrets:manage`.
     */
    get(name: string, query?: GetSecretQuery, options?: CallOptions): Promise<Secret>;
    /**
     * Delete a secret; calls that need it fail from now on with secret_unavailable.
     * Needs the scope `secrets:manage`.
     */
    delete(name: string, query?: DeleteSecretQuery, options?: CallOptions): Promise<void>;
    /**
     * The workspace's secrets by name, without their values.
     * Needs the scope `secrets:manage`.
     */
    list(query?: ListSecretsQuery, options?: CallOptions): Pages<Secret, ListSecretsReply>;
  };
  readonly policy: {
    /**
     * What the workspace lets its agents reach and use.
     * Needs the scope `agents:read`.
     */
    get(options?: CallOptions): Promise<GetPolicyReply>;
    /**
     * Set what agents may reach and use, as a whole: deployments are held to it, and calls of what is deployed.
     * In force with the next deployment, and within two seconds for runs under way. Hosts come back as they are compared: small letters, and xn--… for other scripts.
     * Needs the scope `policy:manage`.
     */
    put(body: PutPolicyBody, options?: CallOptions): Promise<PutPolicyReply>;
  };
  readonly memory: {
    /**
     * The namespaces that have items, with how many.
     * Needs the scope `memory:read`.
     */
    list(query?: ListMemoriesQuery, options?: CallOptions): Pages<MemoryNamespace, ListMemoriesReply>;
    /**
     * Remove a namespace with all its items; without `agent` all that agents keep of a thread or an end user.
     * Needs the scope `memory:write`.
     */
    erase(query: EraseMemoryQuery, options?: CallOptions): Promise<ErasedMemory>;
    /**
     * How much a namespace and the workspace keep, and how much they may.
     * Needs the scope `memory:read`.
     */
    getUsage(query: GetMemoryUsageQuery, options?: CallOptions): Promise<MemoryUsage>;
    /**
     * A namespace's items by key, those that begin with `prefix`.
     * Needs the scope `memory:read`.
     */
    items(query: ListMemoryItemsQuery, options?: CallOptions): Pages<MemoryItem, ListMemoryItemsReply>;
    /**
     * Set an item: its value, when it is gone, its embedding.
     * What the item had before is replaced whole. `If-Match` writes only over the version that was read.
     * Needs the scope `memory:write`.
     */
    putItem(key: string, body: NewMemoryItem, query: PutMemoryItemQuery, options?: CallOptions): Promise<MemoryItem>;
    /**
     * One item.
     * Needs the scope `memory:read`.
     */
    getItem(key: string, query: GetMemoryItemQuery, options?: CallOptions): Promise<MemoryItem>;
    /**
     * Remove an item.
     * Needs the scope `memory:write`.
     */
    deleteItem(key: string, query: DeleteMemoryItemQuery, options?: CallOptions): Promise<void>;
    /**
     * The items of a namespace that fit a text, an embedding or both, the best first.
     * Needs the scope `memory:read`.
     */
    search(body: MemoryQuery, query: SearchMemoryQuery, options?: CallOptions): Promise<SearchMemoryReply>;
  };
  readonly quota: {
    /**
     * What the workspace may still use, until when, and what happens then.
     * Needs the scope `usage:read`.
     */
    get(options?: CallOptions): Promise<Quota>;
    /**
     * Every balance recomputed from the ledger and the usage records; says what is off, if anything is.
     * Needs the scope `usage:read`.
     */
    audit(options?: CallOptions): Promise<QuotaAudit>;
    /**
     * Whether a run would be accepted now, what it would hold, and if not, why and until when.
     * Nothing is kept of it. A later POST /v1/runs is judged anew.
     * Needs the scope `runs:write`.
     */
    check(body: CheckQuotaBody, options?: CallOptions): Promise<QuotaCheck>;
    /**
     * The limits the workspace set itself.
     * Needs the scope `usage:read`.
     */
    limits(options?: CallOptions): Pages<QuotaLimit, ListLimitsReply>;
    /**
     * Set a limit of one's own: for the workspace, or for API keys, deployments or end users.
     * In force with the next run. It lies within the plan's limits, never over them. `per`: the plan's period, or a rolling span; requests need one, concurrent_runs and run_tokens have none.
     * Needs the scope `quota:manage`.
     */
    setLimit(name: string, body: QuotaLimitFields, options?: CallOptions): Promise<QuotaLimit>;
    /**
     * Remove a limit of one's own; runs in flight settle in what it had open.
     * Needs the scope `quota:manage`.
     */
    deleteLimit(name: string, options?: CallOptions): Promise<void>;
  };
  readonly usage: {
    /**
     * Usage of a period, grouped.
     * Needs the scope `usage:read`.
     */
    get(query?: GetUsageQuery, options?: CallOptions): Promise<UsageReport>;
    /**
     * One record a model step, newest first.
     * Needs the scope `usage:read`.
     */
    records(query?: ListUsageRecordsQuery, options?: CallOptions): Pages<UsageRecord, ListUsageRecordsReply>;
  };
  readonly schedules: {
    /**
     * Have a deployment run by the clock.
     * Needs the scope `schedules:write`.
     */
    create(body: CreateScheduleBody, options?: CallOptions): Promise<CreateScheduleReply>;
    /**
     * The workspace's schedules, newest first.
     * Needs the scope `schedules:read`.
     */
    list(query?: ListSchedulesQuery, options?: CallOptions): Pages<ListSchedulesReply["data"][number], ListSchedulesReply>;
    /**
     * One schedule, with its next fire times.
     * Needs the scope `schedules:read`.
     */
    get(schedule: string, options?: CallOptions): Promise<GetScheduleReply>;
    /**
     * Change, pause or resume a schedule.
     * One that is resumed, or whose cron, time_zone or jitter changes, fires next as from now: nothing is caught up on. What a schedule was made to run counts against the key that made it, whoever changes it.
     * Needs the scope `schedules:write`.
     */
    update(schedule: string, body: UpdateScheduleBody, options?: CallOptions): Promise<UpdateScheduleReply>;
    /**
     * Delete a schedule and its log; runs it started go on.
     * Needs the scope `schedules:write`.
     */
    delete(schedule: string, options?: CallOptions): Promise<void>;
    /**
     * Start a schedule's run now, whatever its clock, overlap or pause says.
     * Needs the scope `schedules:write`.
     */
    run(schedule: string, options?: CallOptions): Promise<Run>;
    /**
     * What became of a schedule's fire times, the newest first: the last 500.
     * Needs the scope `schedules:read`.
     */
    fires(schedule: string, query?: ListScheduleFiresQuery, options?: CallOptions): Pages<ListScheduleFiresReply["data"][number], ListScheduleFiresReply>;
  };
  readonly triggers: {
    /**
     * Have a deployment run when something is sent to a URL; the reply is the only time the secret is shown.
     * Needs the scope `triggers:write`.
     */
    create(body: CreateTriggerBody, options?: CallOptions): Promise<CreateTriggerReply>;
    /**
     * The workspace's triggers, newest first.
     * Needs the scope `triggers:read`.
     */
    list(query?: ListTriggersQuery, options?: CallOptions): Pages<ListTriggersReply["data"][number], ListTriggersReply>;
    /**
     * One trigger.
     * Needs the scope `triggers:read`.
     */
    get(trigger: string, options?: CallOptions): Promise<GetTriggerReply>;
    /**
     * Change a trigger, or have it take nothing for a while.
     * Needs the scope `triggers:write`.
     */
    update(trigger: string, body: UpdateTriggerBody, options?: CallOptions): Promise<UpdateTriggerReply>;
    /**
     * Delete a trigger and its log; runs it started go on.
     * Needs the scope `triggers:write`.
     */
    delete(trigger: string, options?: CallOptions): Promise<void>;
    /**
     * Have a new secret; the one before it is good for a day more.
     * Needs the scope `triggers:write`.
     */
    rotateSecret(trigger: string, options?: CallOptions): Promise<RotateTriggerSecretReply>;
    /**
     * What came in to a trigger and what became of it, the newest first: the last 100.
     * Needs the scope `triggers:read`.
     */
    deliveries(trigger: string, query?: ListTriggerDeliveriesQuery, options?: CallOptions): Pages<ListTriggerDeliveriesReply["data"][number], ListTriggerDeliveriesReply>;
  };
  readonly hooks: {
    /**
     * Send something to a trigger: a token in Authorization: Bearer or X-Maru-Token, or a signature.
     * 202: a run was started, or the body does not fit the trigger's filter. 200: the same delivery came before, and this is its run.
     */
    receive(trigger: string, body: ReceiveHookBody, options?: CallOptions): Promise<ReceiveHookReply>;
    /** The same with the token in the path, for senders that can set no header. */
    receiveByToken(trigger: string, token: string, body: ReceiveHookByTokenBody, options?: CallOptions): Promise<ReceiveHookByTokenReply>;
  };
  readonly webhooks: {
    /**
     * Have events sent to a URL; the reply is the only time the signing secret is shown.
     * Needs the scope `webhooks:manage`.
     */
    create(body: NewWebhook, options?: CallOptions): Promise<WebhookWithSecret>;
    /**
     * The workspace's webhooks, newest first.
     * Needs the scope `webhooks:manage`.
     */
    list(query?: ListWebhooksQuery, options?: CallOptions): Pages<Webhook, ListWebhooksReply>;
    /**
     * One webhook.
     * Needs the scope `webhooks:manage`.
     */
    get(webhook: string, options?: CallOptions): Promise<Webhook>;
    /**
     * Change a webhook: where events go, which, and whether.
     * Needs the scope `webhooks:manage`.
     */
    update(webhook: string, body: WebhookChange, options?: CallOptions): Promise<Webhook>;
    /**
     * Delete a webhook and its log; nothing is sent to it any more.
     * Needs the scope `webhooks:manage`.
     */
    delete(webhook: string, options?: CallOptions): Promise<void>;
    /**
     * Give a webhook a new secret, shown once; the one before it signs too for 24 hours.
     * Needs the scope `webhooks:manage`.
     */
    rotateSecret(webhook: string, options?: CallOptions): Promise<WebhookWithSecret>;
    /**
     * Send a webhook.test event, whatever the webhook is subscribed to.
     * Needs the scope `webhooks:manage`.
     */
    test(webhook: string, options?: CallOptions): Promise<WebhookDelivery>;
    /**
     * What was sent to a webhook or will be, newest first; kept 30 days after its end.
     * Needs the scope `webhooks:manage`.
     */
    deliveries(webhook: string, query?: ListWebhookDeliveriesQuery, options?: CallOptions): Pages<WebhookDelivery, ListWebhookDeliveriesReply>;
    /**
     * Send an event again: a new delivery of the same event, or a pending one tried now.
     * Needs the scope `webhooks:manage`.
     */
    redeliver(webhook: string, delivery: string, options?: CallOptions): Promise<WebhookDelivery>;
  };
  readonly operations: {
    /** The process answers. */
    health(options?: CallOptions): Promise<Health>;
    /** The process can serve: says which dependency is down. */
    ready(options?: CallOptions): Promise<Readiness>;
  };
  readonly admin: {
    /** Every plan with its limits and, of a campaign, its terms. */
    plans(options?: CallOptions): Pages<Plan, ListPlansReply>;
    /** Make a plan or a campaign. */
    createPlan(body: NewPlan, options?: CallOptions): Promise<Plan>;
    /** Move the end of a campaign that has not ended; what was in force stays readable as a term. */
    extendCampaign(plan: string, body: CampaignExtension, options?: CallOptions): Promise<Plan>;
    /** Which plans a workspace was, is and will be on. */
    workspacePlans(workspace: string, options?: CallOptions): Pages<WorkspacePlan, ListWorkspacePlansReply>;
    /** Put a workspace on a plan, now or from an instant ahead. */
    changePlan(workspace: string, body: PlanChangeRequest, options?: CallOptions): Promise<ChangePlanReply>;
    /** Add to a workspace's open window; the same key again changes nothing. */
    grantQuota(workspace: string, body: QuotaGrant, options?: CallOptions): Promise<GrantResult>;
    /** What operators did, newest first: the last two hundred actions. */
    operatorActions(options?: CallOptions): Pages<OperatorAction, ListOperatorActionsReply>;
  };
}

/** How operations are called. keyed: a POST that honours Idempotency-Key. replies: statuses of 400 and above that are no problems. */
export const OPERATIONS = {
  register: {"method":"POST","path":"/v1/auth/register","group":"auth","name":"register","body":true},
  token: {"method":"POST","path":"/v1/auth/token","group":"auth","name":"token","body":true},
  logout: {"method":"POST","path":"/v1/auth/logout","group":"auth","name":"logout"},
  whoami: {"method":"GET","path":"/v1/auth/me","group":"auth","name":"whoami"},
  jwks: {"method":"GET","path":"/.well-known/jwks.json","group":"auth","name":"jwks"},
  createApiKey: {"method":"POST","path":"/v1/api-keys","group":"keys","name":"create","body":true,"keyed":true},
  listApiKeys: {"method":"GET","path":"/v1/api-keys","group":"keys","name":"list","query":true,"list":true},
  getApiKey: {"method":"GET","path":"/v1/api-keys/{key}","group":"keys","name":"get"},
  revokeApiKey: {"method":"DELETE","path":"/v1/api-keys/{key}","group":"keys","name":"revoke"},
  deploy: {"method":"POST","path":"/v1/deployments","group":"deployments","name":"deploy","body":true,"query":true,"keyed":true},
  listDeployments: {"method":"GET","path":"/v1/deployments","group":"deployments","name":"list","query":true,"list":true},
  getDeployment: {"method":"GET","path":"/v1/deployments/{deployment}","group":"deployments","name":"get"},
  deleteDeployment: {"method":"DELETE","path":"/v1/deployments/{deployment}","group":"deployments","name":"delete","query":true},
  getDeploymentManifest: {"method":"GET","path":"/v1/deployments/{deployment}/manifest","group":"deployments","name":"getManifest"},
  listReleases: {"method":"GET","path":"/v1/deployments/{deployment}/releases","group":"deployments","name":"releases","query":true,"list":true},
  setTraffic: {"method":"PUT","path":"/v1/deployments/{deployment}/traffic","group":"deployments","name":"setTraffic","body":true},
  promote: {"method":"POST","path":"/v1/deployments/{deployment}/promote","group":"deployments","name":"promote","body":true,"keyed":true},
  rollback: {"method":"POST","path":"/v1/deployments/{deployment}/rollback","group":"deployments","name":"rollback","body":true,"keyed":true},
  pause: {"method":"POST","path":"/v1/deployments/{deployment}/pause","group":"deployments","name":"pause","body":true,"keyed":true},
  resume: {"method":"POST","path":"/v1/deployments/{deployment}/resume","group":"deployments","name":"resume","body":true,"keyed":true},
  listAgents: {"method":"GET","path":"/v1/agents","group":"agents","name":"list","query":true,"list":true},
  getAgent: {"method":"GET","path":"/v1/agents/{agent}","group":"agents","name":"get"},
  listRevisions: {"method":"GET","path":"/v1/agents/{agent}/revisions","group":"agents","name":"revisions","query":true,"list":true},
  getRevision: {"method":"GET","path":"/v1/agents/{agent}/revisions/{number}","group":"agents","name":"getRevision"},
  labelRevision: {"method":"PATCH","path":"/v1/agents/{agent}/revisions/{number}","group":"agents","name":"labelRevision","body":true},
  getRevisionManifest: {"method":"GET","path":"/v1/agents/{agent}/revisions/{number}/manifest","group":"agents","name":"getRevisionManifest"},
  diffRevisions: {"method":"GET","path":"/v1/agents/{agent}/revisions/{number}/diff","group":"agents","name":"diffRevisions","query":true},
  createRun: {"method":"POST","path":"/v1/runs","group":"runs","name":"create","body":true,"keyed":true},
  listRuns: {"method":"GET","path":"/v1/runs","group":"runs","name":"list","query":true,"list":true},
  getRun: {"method":"GET","path":"/v1/runs/{run}","group":"runs","name":"get"},
  listRunEvents: {"method":"GET","path":"/v1/runs/{run}/events","group":"runs","name":"events","query":true,"list":true},
  listRunSteps: {"method":"GET","path":"/v1/runs/{run}/steps","group":"runs","name":"steps","list":true},
  listRunArtifacts: {"method":"GET","path":"/v1/runs/{run}/artifacts","group":"runs","name":"artifacts","list":true},
  getArtifact: {"method":"GET","path":"/v1/artifacts/{artifact}","group":"artifacts","name":"get","bytes":true},
  cancelRun: {"method":"POST","path":"/v1/runs/{run}/cancel","group":"runs","name":"cancel","keyed":true},
  submitToolResults: {"method":"POST","path":"/v1/runs/{run}/tool-results","group":"runs","name":"submitToolResults","body":true,"keyed":true},
  decideApprovals: {"method":"POST","path":"/v1/runs/{run}/approvals","group":"runs","name":"decideApprovals","body":true,"keyed":true},
  forkRun: {"method":"POST","path":"/v1/runs/{run}/fork","group":"runs","name":"fork","body":true,"keyed":true},
  createThread: {"method":"POST","path":"/v1/threads","group":"threads","name":"create","body":true,"keyed":true},
  listThreads: {"method":"GET","path":"/v1/threads","group":"threads","name":"list","query":true,"list":true},
  getThread: {"method":"GET","path":"/v1/threads/{thread}","group":"threads","name":"get"},
  deleteThread: {"method":"DELETE","path":"/v1/threads/{thread}","group":"threads","name":"delete"},
  listThreadMessages: {"method":"GET","path":"/v1/threads/{thread}/messages","group":"threads","name":"messages","query":true,"list":true},
  listModels: {"method":"GET","path":"/v1/models","group":"models","name":"list","list":true},
  createModel: {"method":"POST","path":"/v1/models","group":"models","name":"create","body":true,"keyed":true},
  getModel: {"method":"GET","path":"/v1/models/{model}","group":"models","name":"get"},
  updateModel: {"method":"PATCH","path":"/v1/models/{model}","group":"models","name":"update","body":true},
  deleteModel: {"method":"DELETE","path":"/v1/models/{model}","group":"models","name":"delete"},
  putSecret: {"method":"PUT","path":"/v1/secrets/{name}","group":"secrets","name":"put","body":true},
  getSecret: {"method":"GET","path":"/v1/secrets/{name}","group":"secrets","name":"get","query":true},
  deleteSecret: {"method":"DELETE","path":"/v1/secrets/{name}","group":"secrets","name":"delete","query":true},
  listSecrets: {"method":"GET","path":"/v1/secrets","group":"secrets","name":"list","query":true,"list":true},
  getPolicy: {"method":"GET","path":"/v1/policy","group":"policy","name":"get"},
  putPolicy: {"method":"PUT","path":"/v1/policy","group":"policy","name":"put","body":true},
  listMemories: {"method":"GET","path":"/v1/memory","group":"memory","name":"list","query":true,"list":true},
  eraseMemory: {"method":"DELETE","path":"/v1/memory","group":"memory","name":"erase","query":true},
  getMemoryUsage: {"method":"GET","path":"/v1/memory/usage","group":"memory","name":"getUsage","query":true},
  listMemoryItems: {"method":"GET","path":"/v1/memory/items","group":"memory","name":"items","query":true,"list":true},
  putMemoryItem: {"method":"PUT","path":"/v1/memory/items/{key}","group":"memory","name":"putItem","body":true,"query":true},
  getMemoryItem: {"method":"GET","path":"/v1/memory/items/{key}","group":"memory","name":"getItem","query":true},
  deleteMemoryItem: {"method":"DELETE","path":"/v1/memory/items/{key}","group":"memory","name":"deleteItem","query":true},
  searchMemory: {"method":"POST","path":"/v1/memory/search","group":"memory","name":"search","body":true,"query":true},
  getQuota: {"method":"GET","path":"/v1/quota","group":"quota","name":"get"},
  auditQuota: {"method":"GET","path":"/v1/quota/audit","group":"quota","name":"audit"},
  checkQuota: {"method":"POST","path":"/v1/quota/check","group":"quota","name":"check","body":true},
  listLimits: {"method":"GET","path":"/v1/quota/limits","group":"quota","name":"limits","list":true},
  setLimit: {"method":"PUT","path":"/v1/quota/limits/{name}","group":"quota","name":"setLimit","body":true},
  deleteLimit: {"method":"DELETE","path":"/v1/quota/limits/{name}","group":"quota","name":"deleteLimit"},
  getUsage: {"method":"GET","path":"/v1/usage","group":"usage","name":"get","query":true},
  listUsageRecords: {"method":"GET","path":"/v1/usage/records","group":"usage","name":"records","query":true,"list":true},
  createSchedule: {"method":"POST","path":"/v1/schedules","group":"schedules","name":"create","body":true,"keyed":true},
  listSchedules: {"method":"GET","path":"/v1/schedules","group":"schedules","name":"list","query":true,"list":true},
  getSchedule: {"method":"GET","path":"/v1/schedules/{schedule}","group":"schedules","name":"get"},
  updateSchedule: {"method":"PATCH","path":"/v1/schedules/{schedule}","group":"schedules","name":"update","body":true},
  deleteSchedule: {"method":"DELETE","path":"/v1/schedules/{schedule}","group":"schedules","name":"delete"},
  runSchedule: {"method":"POST","path":"/v1/schedules/{schedule}/run","group":"schedules","name":"run","keyed":true},
  listScheduleFires: {"method":"GET","path":"/v1/schedules/{schedule}/fires","group":"schedules","name":"fires","query":true,"list":true},
  createTrigger: {"method":"POST","path":"/v1/triggers","group":"triggers","name":"create","body":true,"keyed":true},
  listTriggers: {"method":"GET","path":"/v1/triggers","group":"triggers","name":"list","query":true,"list":true},
  getTrigger: {"method":"GET","path":"/v1/triggers/{trigger}","group":"triggers","name":"get"},
  updateTrigger: {"method":"PATCH","path":"/v1/triggers/{trigger}","group":"triggers","name":"update","body":true},
  deleteTrigger: {"method":"DELETE","path":"/v1/triggers/{trigger}","group":"triggers","name":"delete"},
  rotateTriggerSecret: {"method":"POST","path":"/v1/triggers/{trigger}/rotate-secret","group":"triggers","name":"rotateSecret","keyed":true},
  listTriggerDeliveries: {"method":"GET","path":"/v1/triggers/{trigger}/deliveries","group":"triggers","name":"deliveries","query":true,"list":true},
  receiveHook: {"method":"POST","path":"/v1/hooks/{trigger}","group":"hooks","name":"receive","body":true},
  receiveHookByToken: {"method":"POST","path":"/v1/hooks/{trigger}/{token}","group":"hooks","name":"receiveByToken","body":true},
  createWebhook: {"method":"POST","path":"/v1/webhooks","group":"webhooks","name":"create","body":true,"keyed":true},
  listWebhooks: {"method":"GET","path":"/v1/webhooks","group":"webhooks","name":"list","query":true,"list":true},
  getWebhook: {"method":"GET","path":"/v1/webhooks/{webhook}","group":"webhooks","name":"get"},
  updateWebhook: {"method":"PATCH","path":"/v1/webhooks/{webhook}","group":"webhooks","name":"update","body":true},
  deleteWebhook: {"method":"DELETE","path":"/v1/webhooks/{webhook}","group":"webhooks","name":"delete"},
  rotateWebhookSecret: {"method":"POST","path":"/v1/webhooks/{webhook}/rotate-secret","group":"webhooks","name":"rotateSecret","keyed":true},
  testWebhook: {"method":"POST","path":"/v1/webhooks/{webhook}/test","group":"webhooks","name":"test","keyed":true},
  listWebhookDeliveries: {"method":"GET","path":"/v1/webhooks/{webhook}/deliveries","group":"webhooks","name":"deliveries","query":true,"list":true},
  redeliverWebhook: {"method":"POST","path":"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver","group":"webhooks","name":"redeliver","keyed":true},
  health: {"method":"GET","path":"/healthz","group":"operations","name":"health"},
  ready: {"method":"GET","path":"/readyz","group":"operations","name":"ready","replies":[503]},
  listPlans: {"method":"GET","path":"/v1/admin/plans","group":"admin","name":"plans","list":true},
  createPlan: {"method":"POST","path":"/v1/admin/plans","group":"admin","name":"createPlan","body":true},
  extendCampaign: {"method":"POST","path":"/v1/admin/plans/{plan}/extend","group":"admin","name":"extendCampaign","body":true},
  listWorkspacePlans: {"method":"GET","path":"/v1/admin/workspaces/{workspace}/plans","group":"admin","name":"workspacePlans","list":true},
  changePlan: {"method":"POST","path":"/v1/admin/workspaces/{workspace}/plan","group":"admin","name":"changePlan","body":true},
  grantQuota: {"method":"POST","path":"/v1/admin/workspaces/{workspace}/grants","group":"admin","name":"grantQuota","body":true},
  listOperatorActions: {"method":"GET","path":"/v1/admin/actions","group":"admin","name":"operatorActions","list":true},
} as const satisfies Record<keyof Operations, object>;
