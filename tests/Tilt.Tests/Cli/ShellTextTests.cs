using System.Diagnostics;
using Tilt.Cli;

namespace Tilt.Tests.Cli;

public class ShellTextTests
{
    [Theory]
    [InlineData("runs/8gaussians/cep2d-cep/seed-0")]
    [InlineData("a run with spaces")]
    [InlineData("it's $HOME `x` \"y\" ü *;&|")]
    [InlineData("")]
    public void A_shell_reads_back_what_was_quoted(string word)
    {
        using var shell = Process.Start(
            new ProcessStartInfo("/bin/sh", ["-c", $"printf %s {ShellText.Quoted(word)}"])
            {
                RedirectStandardOutput = true,
            }
        )!;

        Assert.Equal(word, shell.StandardOutput.ReadToEnd());
    }

    [Fact]
    public void A_plain_path_stays_as_it_is() => Assert.Equal("runs/a-b_c.1", ShellText.Quoted("runs/a-b_c.1"));
}
