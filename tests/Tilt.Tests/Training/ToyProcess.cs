using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Tilt.Runs;
using Tilt.Tests.OfflineRl.Algorithms;
using Tilt.Tests.Training;
using Tilt.Training;

/// <summary>Turns a start of this test program into one of the toy training, when asked by an environment variable.</summary>
/// <remarks>
/// The framework calls a class of this very name, outside any namespace, before Main when DOTNET_STARTUP_HOOKS names this assembly.
/// So a process that can be killed needs neither a second executable (half a gigabyte of libtorch) nor a hidden verb.
/// </remarks>
internal static class StartupHook
{
    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(ToyProcess.FolderVariable) is { } folder)
        {
            Environment.Exit(ToyProcess.Train(folder));
        }
        if (Environment.GetEnvironmentVariable(QgpoSample.FolderVariable) is { } run)
        {
            Environment.Exit(QgpoSample.TrainAsChild(run));
        }
    }
}

namespace Tilt.Tests.Training
{
    /// <summary>The toy training in a process of its own, to be stopped, killed and started again.</summary>
    internal sealed partial class ToyProcess : IDisposable
    {
        public const string FolderVariable = "TILT_TEST_TOY_FOLDER";
        private const string OptionsVariable = "TILT_TEST_TOY_OPTIONS";
        private const string TrainerVariable = "TILT_TEST_TOY_TRAINER";
        private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

        private readonly Process _process;
        private readonly Task<string> _output;
        private readonly Task<string> _errors;

        public ToyProcess(
            string folder,
            ToyOptions options,
            TrainerOptions? trainer = null,
            IReadOnlyDictionary<string, string>? environment = null
        )
        {
            var assembly = typeof(ToyProcess).Assembly.Location;
            var start = new ProcessStartInfo("dotnet", [assembly])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            start.Environment["DOTNET_STARTUP_HOOKS"] = assembly;
            // Compiling quickly matters more here than running quickly.
            start.Environment["DOTNET_TieredPGO"] = "0";
            start.Environment[FolderVariable] = folder;
            start.Environment[OptionsVariable] = JsonSerializer.Serialize(options, ToyJson.Default.ToyOptions);
            start.Environment[TrainerVariable] = JsonSerializer.Serialize(trainer ?? ToyTraining.Often);
            foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            {
                start.Environment[name] = value;
            }
            _process = Process.Start(start)!;
            _output = _process.StandardOutput.ReadToEndAsync();
            _errors = _process.StandardError.ReadToEndAsync();
        }

        public string Output => _output.Result;

        public string Errors => _errors.Result;

        public int Id => _process.Id;

        /// <summary>Runs in the child: trains and prints the fingerprint.</summary>
        public static int Train(string folder)
        {
            try
            {
                var options = OptionRecords.Parse(
                    Variable(OptionsVariable),
                    OptionsVariable,
                    ToyJson.Default.ToyOptions
                );
                var trainer = JsonSerializer.Deserialize<TrainerOptions>(Variable(TrainerVariable))!;
                Console.Out.Write(ToyTraining.TrainIn(folder, options, trainer));
                return 0;
            }
            catch (TiltException error)
            {
                Console.Error.Write(error.Message);
                return error.ExitCode;
            }
        }

        /// <summary>Waits until the metrics show that training is under way.</summary>
        public void WaitForFirstLine(string folder)
        {
            var metrics = Path.Combine(folder, "metrics.jsonl");
            var before = File.Exists(metrics) ? new FileInfo(metrics).Length : 0;
            var clock = Stopwatch.StartNew();
            while (!File.Exists(metrics) || new FileInfo(metrics).Length <= before)
            {
                Assert.True(
                    clock.Elapsed < Patience && !_process.HasExited,
                    $"no progress; {(_process.HasExited ? Errors : "")}"
                );
                Thread.Sleep(2);
            }
        }

        public int Wait()
        {
            Assert.True(_process.WaitForExit(Patience), "the process did not end");
            return _process.ExitCode;
        }

        public void Signal(PosixSignal signal) =>
            Assert.Equal(0, SendSignal(_process.Id, signal == PosixSignal.SIGINT ? 2 : 15));

        public void Kill() => _process.Kill();

        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
                _process.WaitForExit();
            }
            _process.Dispose();
        }

        private static string Variable(string name) => Environment.GetEnvironmentVariable(name)!;

        [LibraryImport("libc", EntryPoint = "kill")]
        private static partial int SendSignal(int process, int signal);
    }
}
