//! Connects the controller with the provider, the journal and the clock.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::clock::{Clock, Now};
use crate::domain::fact::Fact;
use crate::domain::hook::HookCall;
use crate::domain::record::{OpId, Record};
use crate::journal::{JournalError, JournalHandle};
use crate::provider::Provider;
use crate::runner;
use crate::task;

use super::{Command, Controller, Input, OrderReport, RequestReport, Unwritten};

/// So many inputs are taken in with one look at everything else; the rest waits until that was taken.
const INPUTS_MAX: usize = 1_000;

/// What a controller is connected with.
pub struct Ports<P> {
    /// The provider.
    pub provider: Arc<P>,
    /// The journal.
    pub journal: JournalHandle,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The state folder: by it hooks that an earlier process has left running are known.
    pub state: PathBuf,
    /// Who is told what happens.
    pub tell: Box<dyn Fn(&Fact) + Send>,
}

/// A controller with its connections.
pub struct Driver<P> {
    controller: Controller,
    ports: Ports<P>,
    inputs: mpsc::UnboundedSender<Input>,
    /// Hooks that run, to end them.
    hooks: BTreeMap<OpId, oneshot::Sender<()>>,
}

/// What the connections bring.
#[derive(Debug)]
pub struct Inputs(mpsc::UnboundedReceiver<Input>);

impl Inputs {
    /// Waits for the next input. Returns all that have come by then, in their order; nothing is lost if the waiting is broken off.
    pub async fn next(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.0.recv_many(&mut inputs, INPUTS_MAX).await;
        inputs
    }
}

/// What whoever drives has to know of.
#[derive(Debug)]
pub enum Notice {
    /// A request is done with.
    Finished(RequestReport),
    /// An order stands, or cannot.
    Ordered(OrderReport),
    /// Nothing is in flight any more.
    Stopped,
}

impl<P: Provider> Driver<P> {
    /// Connects a controller. What the connections bring is to be handed to [`Driver::turn`].
    pub fn new(controller: Controller, ports: Ports<P>) -> (Driver<P>, Inputs) {
        let (inputs, received) = mpsc::unbounded_channel();
        (Driver { controller, ports, inputs, hooks: BTreeMap::new() }, Inputs(received))
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.ports.clock.now()
    }

    /// Calls go to another provider from now on: the configuration has changed.
    pub fn set_provider(&mut self, provider: Arc<P>) {
        self.ports.provider = provider;
    }

    /// The controller, to be asked.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// How long there is nothing to do, if nothing comes in.
    pub fn idle_for(&self) -> Duration {
        self.controller.idle_for(self.now())
    }

    /// Takes in what has happened, and sees to what follows from it.
    pub fn turn(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Notice> {
        let (now, hooks) = (self.now(), &mut self.hooks);
        let inputs = inputs.into_iter().inspect(|input| {
            if let Input::HookEnded(op, ..) = input {
                hooks.remove(op);
            }
        });
        self.controller.handle(now, inputs);
        let mut notices = Vec::new();
        for command in self.controller.take_commands() {
            match command {
                Command::Tell(fact) => (self.ports.tell)(&fact),
                Command::Hook(call) => self.run_hook(*call),
                // It may have ended by itself in this moment.
                Command::StopHook(op) => drop(self.hooks.remove(&op).map(|stop| stop.send(()))),
                Command::Finished(report) => notices.push(Notice::Finished(report)),
                Command::Ordered(report) => notices.push(Notice::Ordered(report)),
                Command::Stopped => notices.push(Notice::Stopped),
                Command::Append(records, op) => self.append(records, op),
                Command::List(kind, asked) => self.call(move |provider| async move {
                    let reply = provider.list(kind).await;
                    Input::Listed(kind, reply.begun.unwrap_or(asked), reply)
                }),
                Command::Servers(asked) => self.call(move |provider| async move {
                    let reply = provider.servers().await;
                    Input::Servers(reply.begun.unwrap_or(asked), reply)
                }),
                Command::Account => self.call(|provider| async move { Input::Account(provider.account().await) }),
                Command::Create { op, server, kind, order } => self.call(move |provider| async move {
                    Input::Created(op, provider.create(kind, server, order.name.as_deref(), &order.description).await)
                }),
                Command::Delete { op, kind, item, until } => {
                    self.call(move |provider| async move { Input::Deleted(op, provider.delete(kind, item, until).await) });
                }
            }
        }
        notices
    }

    /// The journal's thread takes records in their order, and those that wait go into one commit.
    fn append(&self, records: Vec<Record>, op: Option<OpId>) {
        let (inputs, kept) = (self.inputs.clone(), records.clone());
        let tell = move |result: Result<(), JournalError>| {
            // Once the receiver is gone nothing is waited for any more.
            drop(inputs.send(Input::Appended(op, result.map_err(|error| Unwritten { error, records: kept }))));
        };
        self.ports.journal.hand_in(records, tell);
    }

    fn run_hook(&mut self, call: HookCall) {
        let (op, side, state, inputs) = (call.around.op, call.side, self.ports.state.clone(), self.inputs.clone());
        let (stop, stopped) = oneshot::channel();
        self.hooks.insert(op, stop);
        task::spawn(async move {
            let (end, output) = runner::run(call, &state, stopped).await;
            drop(inputs.send(Input::HookEnded(op, side, end, output)));
        });
    }

    fn call<F>(&self, make: impl FnOnce(Arc<P>) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        let future = make(Arc::clone(&self.ports.provider));
        let inputs = self.inputs.clone();
        task::spawn(async move {
            let input = future.await;
            drop(inputs.send(input));
        });
    }
}
