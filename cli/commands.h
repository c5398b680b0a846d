#ifndef CREASE_CLI_COMMANDS_H
#define CREASE_CLI_COMMANDS_H

/* One file each. argv[0] is the command's name; the result is the program's exit code. */
int run_command(int argc, char **argv);
int fold_command(int argc, char **argv);
int unfold_command(int argc, char **argv);
int calibrate_command(int argc, char **argv);
int verify_command(int argc, char **argv);
int bench_command(int argc, char **argv);
int inspect_command(int argc, char **argv);
int ops_command(int argc, char **argv);
int demo_command(int argc, char **argv);

#endif
