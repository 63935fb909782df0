//! Tries the tables on containers of both variants. The first container of each service serves the others, at addresses that no
//! service has by default; a paused one, `silent`, accepts connections and never answers.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::iter;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use model::manifest::Service;
use model::variant::Variant;
use serde_json::Value;

use super::container::{Container, Network};
use super::fail_with;
use super::http::Request;
use super::table::{CheckRow, ContainerRow, SetTo, Table, path_of};
use crate::support::containers::{root, said, the_manifest, variants_of};

/// These tests take turns: two variants at once would only take longer.
static ALONE: Mutex<()> = Mutex::new(());

/// The service whose container plays the silent one: any would do.
const SILENT: &str = "bulk-ingester";

/// The neighbours of the containers under test.
struct Neighbours {
    network: Network,
    containers: BTreeMap<String, Container>,
}

impl Neighbours {
    /// Starts the first container of every table. Large originals are replaced by their optimized images, unless `all`.
    fn start(services: &[Service], variant: Variant, all: bool) -> Neighbours {
        let network = Network::create();
        let silent = services.iter().find(|service| service.name == SILENT).unwrap();
        let row = ContainerRow::plain("silent");
        let silent = Container::start(silent, Variant::Optimized, &row, &network, "silent");
        silent.wait_until_healthy().unwrap();
        said(&["pause", &silent.id]);
        let mut containers = BTreeMap::from([("silent".to_owned(), silent)]);
        for service in services {
            let variant =
                if all || variants_of(service).contains(&variant) { variant } else { Variant::Optimized };
            let table = Table::load(&root(), &service.name);
            let alias = format!("other-{}", service.name);
            let container = Container::start(service, variant, &table.container[0], &network, &alias);
            containers.insert(service.name.clone(), container);
        }
        Neighbours { network, containers }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        // Before the network.
        self.containers.clear();
    }
}

impl ContainerRow {
    fn plain(name: &str) -> ContainerRow {
        toml::from_str(&format!("name = {name:?}\nset = {{}}\n")).unwrap()
    }

    /// Tries the row. Returns its faults.
    fn faults_of(&self, container: &Container, is_first: bool) -> Vec<String> {
        let started = Instant::now();
        let faults = self.faults_within(container, is_first);
        println!("{:>5.1} s  container `{}`", started.elapsed().as_secs_f32(), self.name);
        faults
    }

    fn faults_within(&self, container: &Container, is_first: bool) -> Vec<String> {
        if let Some(refusal) = &self.refuses {
            let ended = container.wait_until_refused(refusal.code);
            let fault = ended.err().or_else(|| {
                let log = container.log();
                (!log.contains(&refusal.says)).then(|| format!("its log lacks {:?}:\n{log}", refusal.says))
            });
            return fault.into_iter().map(|fault| format!("{:?}: {fault}", refusal.of)).collect();
        }
        // Docker's check takes a second; where nothing can differ from other containers, one request does.
        let ready = match (self.healthy, is_first || !self.reachable) {
            (false, _) => None,
            (true, true) => container.wait_until_healthy().err(),
            (true, false) => CheckRow::ready().fault(container, self.patience, &mut BTreeMap::new()),
        };
        if let Some(fault) = ready {
            return vec![fault];
        }
        if !self.reachable {
            let request = CheckRow::ready().request(&BTreeMap::new());
            if let Ok(answer) = request.send(&container.address(None)) {
                return vec![format!("it can be reached from outside: {answer}")];
            }
        }
        let mut captured = BTreeMap::new();
        let faults = self.check.iter().filter_map(|check| {
            let fault = check.fault(container, self.patience, &mut captured)?;
            let request = check.request.as_deref().unwrap_or("its log or threads");
            Some(format!("{:?}: {request}: {fault}", check.of))
        });
        faults.collect()
    }
}

impl CheckRow {
    fn ready() -> CheckRow {
        let row = "request = 'GET /health'\neventually = true\nexpect = [{ at = '/status', is = 200 }]";
        toml::from_str(row).unwrap()
    }

    /// What is wrong, if anything.
    fn fault(
        &self,
        container: &Container,
        patience: Duration,
        captured: &mut BTreeMap<String, String>,
    ) -> Option<String> {
        let address = container.address(self.port.as_ref());
        let started = Instant::now();
        loop {
            let fault = self.fault_now(container, &address, captured)?;
            let goes_on = self.eventually || (fault.is_early && !self.stalls);
            if !goes_on || started.elapsed() > patience || container.has_ended() {
                return Some(fault.what);
            }
            sleep(Duration::from_millis(200));
        }
    }

    fn fault_now(
        &self,
        container: &Container,
        address: &str,
        captured: &mut BTreeMap<String, String>,
    ) -> Option<Fault> {
        if self.request.is_some() {
            match self.answers(address, captured) {
                Ok(answers) => {
                    let mut faults = Vec::new();
                    for answer in &answers {
                        let fault = self.expect.iter().find_map(|expect| expect.fault(answer));
                        faults.extend(fault.map(|fault| format!("{fault}, in {}", shortened(answer))));
                    }
                    if faults.len() == answers.len() {
                        return Some(Fault::of(faults.swap_remove(0)));
                    }
                    self.keep(&answers[0], captured);
                }
                Err(error) => {
                    let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    return Some(Fault { what: error.to_string(), is_early: !is_late });
                }
            }
        }
        let log = container.log();
        let has_line = |part: &str| log.contains(part);
        let expected = self.log.as_ref().map(|part| part.of(container.variant));
        if expected.is_some_and(|part| !has_line(part)) || self.no_log.as_deref().is_some_and(has_line) {
            return Some(Fault::of(format!("its log:\n{log}")));
        }
        let threads = self.threads.map(|least| (least, container.threads()));
        let too_few = threads.filter(|(least, found)| found < least);
        too_few.map(|(least, found)| Fault::of(format!("it has {found} threads, expected at least {least}")))
    }

    /// The answers to all requests that are sent at once.
    fn answers(&self, address: &str, captured: &BTreeMap<String, String>) -> Result<Vec<Value>, Error> {
        let request = self.request(captured);
        thread::scope(|scope| {
            let sent: Vec<_> = (0..self.at_once).map(|_| scope.spawn(|| request.send(address))).collect();
            let answers = sent.into_iter().map(|thread| thread.join().unwrap());
            answers.collect::<Result<Vec<Value>, Error>>()
        })
        .and_then(|answers| {
            if answers.is_empty() { Err(ErrorKind::InvalidInput.into()) } else { Ok(answers) }
        })
    }

    fn request(&self, captured: &BTreeMap<String, String>) -> Request {
        let fill = |text: &str| {
            let mut text = text.to_owned();
            if let Some((part, count)) = &self.many {
                text = text.replace("${many}", &part.repeat(*count));
            }
            captured.iter().fold(text, |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
        };
        let mut headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect();
        let body = match (&self.json, &self.text) {
            (Some(json), _) => {
                headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                fill(&json.to_string())
            }
            (None, text) => fill(text.as_deref().unwrap_or_default()),
        };
        Request {
            line: fill(self.request.as_deref().unwrap_or_default()),
            headers,
            body,
            stalls: self.stalls,
        }
    }

    fn keep(&self, answer: &Value, captured: &mut BTreeMap<String, String>) {
        for (name, at) in &self.capture {
            let found = answer.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let value = found.split(';').next().unwrap_or_default();
            captured.insert(name.clone(), value.to_owned());
        }
    }
}

/// Why a check does not hold.
struct Fault {
    what: String,
    /// The connection broke: docker's forwarding may come up a moment after the container.
    is_early: bool,
}

impl Fault {
    fn of(what: String) -> Fault {
        Fault { what, is_early: false }
    }
}

fn shortened(answer: &Value) -> String {
    answer.to_string().chars().take(600).collect()
}

/// Applies a function to every service, on as many threads as there are processors, and collects the faults.
fn each(services: &[&Service], faults_of: impl Fn(&Service) -> Vec<String> + Sync) -> Vec<String> {
    let queue = Mutex::new(services.iter());
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        let work = || {
            let next = || queue.lock().unwrap().next();
            iter::from_fn(next).flat_map(|service| faults_of(service)).collect::<Vec<_>>()
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Tries every row of these services.
fn every_setting_counts(tested: &[&Service], variant: Variant, all: bool) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let manifest = the_manifest();
    let neighbours = Neighbours::start(&manifest.services, variant, all);
    let faults = each(tested, |service| {
        let table = Table::load(&root(), &service.name);
        let (first, others) = table.container.split_first().unwrap();
        let mut faults =
            named(service, variant, first, first.faults_of(&neighbours.containers[&service.name], true));
        for row in others {
            let container = Container::start(service, variant, row, &neighbours.network, "under-test");
            faults.extend(named(service, variant, row, row.faults_of(&container, false)));
        }
        faults
    });
    fail_with(&faults);
}

fn named(service: &Service, variant: Variant, row: &ContainerRow, faults: Vec<String>) -> Vec<String> {
    let file = path_of(&service.name);
    let place = format!("{} {variant}, container `{}` of {}", service.name, row.name, file.display());
    faults.into_iter().map(|fault| format!("{place}: {fault}")).collect()
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn every_setting_of_optimized_images_counts() {
    let _turn = crate::support::turn::take(module_path!());
    every_setting_counts(&the_manifest().services.iter().collect::<Vec<_>>(), Variant::Optimized, false);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn every_setting_of_originals_counts() {
    let _turn = crate::support::turn::take(module_path!());
    let manifest = the_manifest();
    let tested: Vec<&Service> = manifest.services.iter().filter(|service| !service.large_original).collect();
    every_setting_counts(&tested, Variant::Original, false);
}

mod full {
    use super::*;

    #[test]
    #[ignore = "needs the large originals: cargo xtask ci --full"]
    fn every_setting_of_large_originals_counts() {
        let _turn = crate::support::turn::take(module_path!());
        let manifest = the_manifest();
        let tested: Vec<&Service> =
            manifest.services.iter().filter(|service| service.large_original).collect();
        every_setting_counts(&tested, Variant::Original, true);
    }

    /// A check that also holds without the variable shows nothing.
    #[test]
    #[ignore = "starts a container for each variable: cargo xtask ci --full"]
    fn no_check_holds_without_its_variable() {
        let _turn = crate::support::turn::take(module_path!());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = the_manifest();
        let neighbours = Neighbours::start(&manifest.services, Variant::Optimized, false);
        let services: Vec<&Service> = manifest.services.iter().collect();
        let idle = each(&services, |service| {
            let table = Table::load(&root(), &service.name);
            let mut idle = Vec::new();
            for row in &table.container {
                let place = format!("{}, container `{}`", service.name, row.name);
                let row = row.under_test();
                let unchanged = row.faults_in(service, &neighbours.network);
                idle.extend(unchanged.into_iter().map(|fault| format!("{place}: {fault}")));
                for name in row.checked() {
                    if row.without(&name).faults_in(service, &neighbours.network).is_empty() {
                        idle.push(format!("{place}: the checks of {name} also hold without it"));
                    }
                }
            }
            idle
        });
        fail_with(&idle);
    }

    impl ContainerRow {
        fn faults_in(&self, service: &Service, network: &Network) -> Vec<String> {
            let container = Container::start(service, Variant::Optimized, self, network, "under-test");
            self.faults_of(&container, false)
        }

        /// The row for a container that is not another's neighbour.
        fn under_test(&self) -> ContainerRow {
            let mut row = self.clone();
            if row.set.get("HOST").is_some_and(|host| host.of(Variant::Optimized).starts_with("other-")) {
                row.set.insert("HOST".to_owned(), SetTo::Both("under-test".to_owned()));
            }
            row
        }

        /// The row without a variable, and without the checks of others.
        fn without(&self, name: &str) -> ContainerRow {
            let mut row = self.clone();
            let removed = row.set.remove(name).filter(|_| name == "PORT");
            row.published = removed.map(|port| port.of(Variant::Optimized).to_owned());
            row.check.retain(|check| check.of.is_empty() || check.of.contains(name));
            row.patience = Duration::from_secs(15);
            row
        }
    }
}
