import { Argument, type Command } from "commander";
import type { Cli } from "../cli.ts";

/** What a TAB may wait for the names of deployments. */
const PATIENCE_MS = 1_500;
const SHELLS = {
  bash: `_maru() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do COMPREPLY+=("$line"); done < <(maru __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _maru maru
`,
  zsh: `#compdef maru
if ! (( $+functions[compdef] )); then autoload -Uz compinit && compinit; fi
_maru() {
  local -a found
  found=("\${(@f)$(maru __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
# As a file in $fpath this is the body of the function itself.
if [[ "$funcstack[1]" == _maru ]]; then _maru "$@"; else compdef _maru maru; fi
`,
  fish: `function __maru_complete
  set -l words (commandline -opc) (commandline -ct)
  maru __complete $words[2..-1] 2>/dev/null
end
complete -c maru -f -a '(__maru_complete)'
complete -c maru -F -n 'string match -qr "^(deploy|validate)" -- (commandline -opc)[2]'
`,
} as const;

export function completion(program: Command, cli: Cli): void {
  program
    .command("completion")
    .summary("print a script that completes commands in a shell")
    .description(
      'bash: eval "$(maru completion bash)" in ~/.bashrc\nzsh: eval "$(maru completion zsh)" in ~/.zshrc\nfish: maru completion fish > ~/.config/fish/completions/maru.fish',
    )
    .addArgument(new Argument("<shell>").choices(Object.keys(SHELLS)))
    .action((shell: keyof typeof SHELLS) => cli.output.out.write(SHELLS[shell]));

  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      for (const word of await completions(program, cli, words)) cli.output.line(word);
    });
}

/** What the last word may become. */
async function completions(program: Command, cli: Cli, words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? "";
  let command = program;
  let given = 0;
  for (const word of words.slice(0, -1)) {
    if (word.startsWith("-")) continue;
    const below = command.commands.find((one) => one.name() === word);
    if (below === undefined) given++;
    else command = below;
  }
  // Without a name a group is its first command.
  const meant = command.commands.find((one) => /^(list|show)$/.test(one.name())) ?? command;
  const argument = meant.registeredArguments[given];
  const found = last.startsWith("-")
    ? meant.options.concat(program.options).map(({ long }) => long ?? "")
    : [
        ...command
          .createHelp()
          .visibleCommands(command)
          .map((one) => one.name()),
        ...(argument?.argChoices ?? []),
        ...(argument?.name() === "deployment" ? await deploymentNames(cli) : []),
      ];
  return found.filter((word) => word !== "" && word.startsWith(last));
}

async function deploymentNames(cli: Cli): Promise<string[]> {
  try {
    const options = { retries: 0, timeoutMs: PATIENCE_MS };
    const { data } = await cli.client().deployments.list({ limit: 100 }, options).page();
    return data.map(({ name }) => name);
  } catch {
    // A shell that completes has no place for errors.
    return [];
  }
}
