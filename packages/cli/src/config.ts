/** Where the CLI calls and as whom; read once, here. @throws Error saying which variable is missing */
export function cliConfig(env: NodeJS.ProcessEnv): { baseUrl: string; apiKey: string } {
  const apiKey = env.MARU_API_KEY;
  if (!apiKey) throw new Error("MARU_API_KEY is not set: npm start prints your key.");
  return { baseUrl: env.MARU_URL ?? "http://127.0.0.1:8080", apiKey };
}
