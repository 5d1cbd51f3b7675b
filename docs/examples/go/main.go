// A client of weft.v1.InferenceService: a streamed chat, then tokens in and tokens out.
//
//	client [ADDRESS [TIMEOUT_S [QUESTION]]]
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "weft.example/client/weftpb"
)

// retryDelay is how long the server would like to be left alone.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			return retry.RetryDelay.AsDuration()
		}
	}
	return time.Second / 2 // nobody was there to say
}

// withRetries calls until the server is there and has room, or ctx's deadline is near.
func withRetries(ctx context.Context, call func() error) error {
	for {
		err := call()
		if status.Code(err) != codes.Unavailable {
			return err
		}
		delay := retryDelay(err)
		if deadline, ok := ctx.Deadline(); ok && time.Now().Add(delay).After(deadline) {
			return err
		}
		fmt.Fprintf(os.Stderr, "unavailable (%s), again in %g s\n",
			status.Convert(err).Message(), delay.Seconds())
		time.Sleep(delay)
	}
}

// printer prints text as it comes, what the model thinks apart from what it says.
type printer struct{ part string }

func (p *printer) print(part, text string) {
	if text == "" {
		return
	}
	if p.part != part {
		if p.part != "" {
			fmt.Println()
		}
		fmt.Printf("%s: ", part)
		p.part = part
	}
	fmt.Print(text)
}

func streamChat(ctx context.Context, client pb.InferenceServiceClient, messages []*pb.ChatMessage) error {
	request := &pb.ChatRequest{
		Messages: messages,
		Options:  &pb.GenerationOptions{Temperature: proto.Float32(0)},
	}
	var stream grpc.ServerStreamingClient[pb.ChatChunk]
	var chunk *pb.ChatChunk
	// An answer that has begun cannot be asked for again: the first chunk decides.
	err := withRetries(ctx, func() (err error) {
		if stream, err = client.StreamChat(ctx, request); err == nil {
			chunk, err = stream.Recv()
		}
		return err
	})
	var out printer
	for ; err == nil; chunk, err = stream.Recv() {
		for _, choice := range chunk.Choices {
			out.print("thinking", choice.GetMessage().GetReasoningContent())
			out.print("answer", choice.GetMessage().GetContent())
			if choice.FinishReason != "" {
				fmt.Printf("\nended: %s\n", choice.FinishReason)
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func join(ids []int32) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(int(id))
	}
	return strings.Join(words, " ")
}

// completeTokens is for those that keep token ids themselves: the same question, and how its
// answer begins.
func completeTokens(ctx context.Context, client pb.InferenceServiceClient, messages []*pb.ChatMessage) error {
	var prompt *pb.TokenizeResponse
	err := withRetries(ctx, func() (err error) {
		prompt, err = client.Tokenize(ctx, &pb.TokenizeRequest{
			Input: &pb.TokenizeRequest_Chat{Chat: &pb.ChatMessages{Messages: messages}}})
		return err
	})
	if err != nil {
		return err
	}
	request := &pb.CompletionRequest{
		Prompt: &pb.CompletionRequest_Tokens{Tokens: &pb.TokenIds{Ids: prompt.Tokens}},
		Options: &pb.GenerationOptions{
			MaxTokens: proto.Uint32(8), Temperature: proto.Float32(0), ReturnTokenIds: true},
	}
	var answer *pb.CompletionResponse
	err = withRetries(ctx, func() (err error) {
		answer, err = client.Complete(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Println("tokens in:", join(prompt.Tokens))
	fmt.Println("tokens out:", join(answer.Choices[0].TokenIds))
	return nil
}

func run(address string, timeout time.Duration, question string) error {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	client := pb.NewInferenceServiceClient(connection)
	messages := []*pb.ChatMessage{{Role: "user", Content: question}}
	if err := streamChat(ctx, client, messages); err != nil {
		return err
	}
	return completeTokens(ctx, client, messages)
}

func main() {
	args := []string{"127.0.0.1:8001", "60", "What is 17 + 25?"}
	copy(args, os.Args[1:])
	seconds, err := strconv.ParseFloat(args[1], 64)
	if err == nil {
		err = run(args[0], time.Duration(seconds*float64(time.Second)), args[2])
	}
	if status.Code(err) == codes.DeadlineExceeded {
		fmt.Fprintf(os.Stderr, "\nDEADLINE_EXCEEDED: %v\n", status.Convert(err).Message())
	} else if err != nil {
		fmt.Fprintf(os.Stderr, "\n%v\n", err)
	}
	if err != nil {
		os.Exit(1)
	}
}
