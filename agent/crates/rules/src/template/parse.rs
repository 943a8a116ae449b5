//! Makes a tree of a template's tokens, as Go's `text/template/parse` does, with its positions and its messages.
//!
//! Supported: actions, pipelines, variables, `if`/`else if`/`else`, `range` (with `else`, `break`, `continue`), `with`
//! (with `else`), `define` and `template`. Refused by name: `block`. Unknown functions and undefined variables are found here,
//! so a rule file that uses one does not load. Depth is bounded by [`DEPTH_MAX`](super::DEPTH_MAX).

use std::fmt;

use super::lex::{Kind, Token, lex};
use super::{DEPTH_MAX, functions};

/// A list of nodes; what a branch or a whole template runs.
pub type List = Vec<Node>;

/// One step of a template.
#[derive(Debug, Clone)]
pub enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { pos: usize, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// `if`, `with` or `range`.
#[derive(Debug, Clone)]
pub struct Branch {
    pub pipe: Pipe,
    pub list: List,
    pub otherwise: List,
}

/// Commands joined by `|`, whose result may be kept in variables.
#[derive(Debug, Clone)]
pub struct Pipe {
    pub pos: usize,
    pub decl: Vec<String>,
    pub assign: bool,
    pub commands: Vec<Command>,
}

/// A word and its arguments.
#[derive(Debug, Clone)]
pub struct Command {
    pub pos: usize,
    pub args: Vec<Arg>,
}

/// One operand and where it stands.
#[derive(Debug, Clone)]
pub struct Arg {
    pub pos: usize,
    pub kind: ArgKind,
}

/// What an operand is.
#[derive(Debug, Clone)]
pub enum ArgKind {
    Bool(bool),
    Dot,
    Nil,
    Field(Vec<String>),
    Chain(Box<Arg>, Vec<String>),
    Identifier(String),
    Variable(Vec<String>),
    Number(String),
    Str { source: String, text: String },
    Pipe(Box<Pipe>),
}

/// A parsed template: what runs, and what it defines.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub list: List,
    pub defined: Vec<(String, List)>,
}

/// Parses a template. The error is Go's, without its `template: name:` in front: `1: unclosed action`.
pub fn parse(text: &str) -> Result<Tree, String> {
    let mut parser =
        Parser { tokens: lex(text), at: 0, variables: vec!["$".to_owned()], depth: 0, loops: 0, defined: Vec::new() };
    let (list, end) = parser.list(true)?;
    match end {
        Stop::End => Ok(Tree { list, defined: parser.defined }),
        Stop::Keyword(word) => parser.error(format!("unexpected {{{{{word}}}}}")),
    }
}

/// What ended a list.
enum Stop {
    End,
    Keyword(&'static str),
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    variables: Vec<String>,
    depth: usize,
    loops: usize,
    defined: Vec<(String, List)>,
}

type Parsed<T> = Result<T, String>;

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn peek_word(&mut self) -> &Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn next_word(&mut self) -> Token {
        self.peek_word();
        self.next()
    }

    fn error<T>(&self, message: String) -> Parsed<T> {
        let last = self.at.saturating_sub(1).min(self.tokens.len() - 1);
        Err(format!("{}: {message}", self.tokens[last].line))
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Parsed<T> {
        let text = match token.kind {
            Kind::Error => return self.error(token.text.clone()),
            Kind::End => "EOF".to_owned(),
            Kind::Keyword => format!("<{}>", token.text),
            _ if token.text.len() > 10 => {
                format!("{:?}...", token.text.chars().take(10).collect::<String>())
            }
            _ => format!("{:?}", token.text),
        };
        self.error(format!("unexpected {text} in {context}"))
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { self.error(format!("nested deeper than {DEPTH_MAX}")) } else { Ok(()) }
    }

    /// Reads nodes up to `{{end}}`, `{{else}}` or the end of the text.
    fn list(&mut self, top: bool) -> Parsed<(List, Stop)> {
        self.deeper()?;
        let mut list = Vec::new();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Text => list.push(Node::Text(token.text)),
                Kind::End if top => return self.leave(list, Stop::End),
                Kind::Open => match self.action(top)? {
                    Step::Node(node) => list.push(node),
                    Step::Nothing => {}
                    Step::Stop(word) => return self.leave(list, Stop::Keyword(word)),
                },
                Kind::End => return self.error("unexpected EOF".to_owned()),
                _ => return self.unexpected(&token, "input"),
            }
        }
    }

    fn leave(&mut self, list: List, stop: Stop) -> Parsed<(List, Stop)> {
        self.depth -= 1;
        Ok((list, stop))
    }

    fn action(&mut self, top: bool) -> Parsed<Step> {
        if self.peek_word().kind != Kind::Keyword {
            let pipe = self.pipeline("command", Kind::Close)?;
            return Ok(Step::Node(Node::Action(pipe)));
        }
        let token = self.next_word();
        let node = match token.text.as_str() {
            "if" => Node::If(self.branch("if")?),
            "with" => Node::With(self.branch("with")?),
            "range" => Node::Range(self.branch("range")?),
            "end" => {
                self.close("end")?;
                return Ok(Step::Stop("end"));
            }
            "else" => {
                // `else if` and `else with` go on inside the action.
                let chained = matches!(self.peek_word().text.as_str(), "if" | "with");
                if !chained {
                    self.close("else")?;
                }
                return Ok(Step::Stop("else"));
            }
            word @ ("break" | "continue") => {
                let node = if word == "break" { Node::Break } else { Node::Continue };
                if self.loops == 0 {
                    return self.error(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                self.close(if word == "break" { "{{break}}" } else { "{{continue}}" })?;
                node
            }
            "template" => self.template(token.pos)?,
            "define" if top && self.depth == 1 => {
                self.define()?;
                return Ok(Step::Nothing);
            }
            "define" => return self.unexpected(&token, "command"),
            word => return self.error(format!("{{{{{word}}}}} is not supported")),
        };
        Ok(Step::Node(node))
    }

    fn close(&mut self, context: &str) -> Parsed<()> {
        let token = self.next_word();
        if token.kind == Kind::Close { Ok(()) } else { self.unexpected(&token, context) }
    }

    fn template(&mut self, pos: usize) -> Parsed<Node> {
        let name = self.string("template clause")?;
        let pipe = if self.peek_word().kind == Kind::Close {
            self.next_word();
            None
        } else {
            Some(self.pipeline("template clause", Kind::Close)?)
        };
        Ok(Node::Template { pos, name, pipe })
    }

    fn define(&mut self) -> Parsed<()> {
        let name = self.string("define clause")?;
        self.close("define clause")?;
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let (list, stop) = self.list(false)?;
        self.variables = outer;
        match stop {
            Stop::Keyword("end") => {}
            _ => return self.error("unexpected {{else}} in define clause".to_owned()),
        }
        if self.defined.iter().any(|(other, _)| *other == name) {
            return self.error(format!("template: multiple definition of template {name:?}"));
        }
        self.defined.push((name, list));
        Ok(())
    }

    fn string(&mut self, context: &str) -> Parsed<String> {
        let token = self.next_word();
        match token.kind {
            Kind::Str | Kind::RawStr => self.unquoted(&token),
            _ => self.unexpected(&token, context),
        }
    }

    fn unquoted(&self, token: &Token) -> Parsed<String> {
        match super::value::unquote(&token.text) {
            Some(text) => Ok(text),
            None => self.error("invalid syntax".to_owned()),
        }
    }

    fn branch(&mut self, context: &'static str) -> Parsed<Branch> {
        let scope = self.variables.len();
        let pipe = self.pipeline(context, Kind::Close)?;
        self.loops += usize::from(context == "range");
        let (list, stop) = self.list(false)?;
        self.loops -= usize::from(context == "range");
        let mut otherwise = Vec::new();
        if matches!(stop, Stop::Keyword("else")) {
            let word = self.peek_word().text.clone();
            if self.peek().kind == Kind::Keyword && self.tokens[self.at - 1].kind != Kind::Close {
                if word != context || context == "range" {
                    return self.error(format!("unexpected <{word}> in else clause"));
                }
                self.next_word();
                self.deeper()?;
                let chained = self.branch(context)?;
                self.depth -= 1;
                otherwise.push(if context == "if" { Node::If(chained) } else { Node::With(chained) });
            } else {
                let (list, stop) = self.list(false)?;
                if !matches!(stop, Stop::Keyword("end")) {
                    return self.error("expected end; found {{else}}".to_owned());
                }
                otherwise = list;
            }
        }
        self.variables.truncate(scope);
        Ok(Branch { pipe, list, otherwise })
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let pos = self.peek_word().pos;
        let mut pipe = Pipe { pos, decl: Vec::new(), assign: false, commands: Vec::new() };
        self.declarations(&mut pipe, context)?;
        loop {
            let token = self.next_word();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawStr
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.at -= 1;
                    let command = self.command()?;
                    pipe.commands.push(command);
                }
                _ => return self.unexpected(&token, context),
            }
        }
        if pipe.commands.is_empty() {
            return self.error(format!("missing value for {context}"));
        }
        for (i, command) in pipe.commands.iter().enumerate().skip(1) {
            use ArgKind::{Bool, Dot, Nil, Number, Str};
            if matches!(command.args[0].kind, Bool(_) | Dot | Nil | Number(_) | Str { .. }) {
                return self.error(format!("non executable command in pipeline stage {}", i + 1));
            }
        }
        Ok(pipe)
    }

    /// Reads `$x :=`, `$x =` and, in a range, `$i, $x :=`.
    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parsed<()> {
        while self.peek_word().kind == Kind::Variable {
            let start = self.at;
            let variable = self.next();
            match self.peek_word().kind {
                Kind::Assign | Kind::Declare => {
                    pipe.assign = self.next().kind == Kind::Assign;
                    self.declare(pipe, variable.text)?;
                    return Ok(());
                }
                Kind::Comma => {
                    self.next();
                    self.declare(pipe, variable.text)?;
                    if context != "range" || pipe.decl.len() > 1 {
                        return self.error(format!("too many declarations in {context}"));
                    }
                    if self.peek_word().kind != Kind::Variable {
                        return self.error("range can only initialize variables".to_owned());
                    }
                }
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn declare(&mut self, pipe: &mut Pipe, name: String) -> Parsed<()> {
        if pipe.assign && !self.variables.contains(&name) {
            return self.error(format!("undefined variable {name:?}"));
        }
        self.variables.push(name.clone());
        pipe.decl.push(name);
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut command = Command { pos: self.peek_word().pos, args: Vec::new() };
        loop {
            self.peek_word();
            if let Some(operand) = self.operand()? {
                command.args.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::Close | Kind::RightParen => self.at -= 1,
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if command.args.is_empty() { self.error("empty command".to_owned()) } else { Ok(command) }
    }

    fn operand(&mut self) -> Parsed<Option<Arg>> {
        let Some(term) = self.term()? else { return Ok(None) };
        if self.peek().kind != Kind::Field {
            return Ok(Some(term));
        }
        let pos = self.peek().pos;
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.next().text[1..].to_owned());
        }
        let kind = match term.kind {
            ArgKind::Field(first) => ArgKind::Field([first, fields].concat()),
            ArgKind::Variable(first) => ArgKind::Variable([first, fields].concat()),
            ArgKind::Bool(_) | ArgKind::Str { .. } | ArgKind::Number(_) | ArgKind::Nil | ArgKind::Dot => {
                return self.error(format!("unexpected . after term {:?}", term.to_string()));
            }
            _ => ArgKind::Chain(Box::new(term), fields),
        };
        Ok(Some(Arg { pos, kind }))
    }

    fn term(&mut self) -> Parsed<Option<Arg>> {
        let token = self.next_word();
        let pos = token.pos;
        let kind = match token.kind {
            Kind::Identifier if functions::is_known(&token.text) => ArgKind::Identifier(token.text),
            Kind::Identifier => return self.error(format!("function {:?} not defined", token.text)),
            Kind::Dot => ArgKind::Dot,
            Kind::Nil => ArgKind::Nil,
            Kind::Variable if self.variables.contains(&token.text) => ArgKind::Variable(vec![token.text]),
            Kind::Variable => return self.error(format!("undefined variable {:?}", token.text)),
            Kind::Field => ArgKind::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => ArgKind::Bool(token.text == "true"),
            Kind::Number | Kind::Char => ArgKind::Number(token.text),
            Kind::Str | Kind::RawStr => ArgKind::Str { text: self.unquoted(&token)?, source: token.text },
            Kind::LeftParen => {
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                ArgKind::Pipe(Box::new(pipe))
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Arg { pos, kind }))
    }
}

/// What one action turned out to be.
enum Step {
    Node(Node),
    Nothing,
    Stop(&'static str),
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.decl.is_empty() {
            write!(f, "{} {} ", self.decl.join(", "), if self.assign { "=" } else { ":=" })?;
        }
        for (i, command) in self.commands.iter().enumerate() {
            write!(f, "{}{command}", if i > 0 { " | " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// Prints as it was written, which is what Go's messages quote.
impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ArgKind::Bool(value) => write!(f, "{value}"),
            ArgKind::Dot => f.write_str("."),
            ArgKind::Nil => f.write_str("nil"),
            ArgKind::Field(names) => write!(f, ".{}", names.join(".")),
            ArgKind::Variable(names) => f.write_str(&names.join(".")),
            ArgKind::Chain(inner, names) => match &inner.kind {
                ArgKind::Pipe(_) => write!(f, "{inner}.{}", names.join(".")),
                _ => write!(f, "{inner}.{}", names.join(".")),
            },
            ArgKind::Identifier(text) | ArgKind::Number(text) => f.write_str(text),
            ArgKind::Str { source, .. } => f.write_str(source),
            ArgKind::Pipe(pipe) => write!(f, "({pipe})"),
        }
    }
}
